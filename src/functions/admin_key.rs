//! `admin_key`: the key to a backend from its name and secret.

use crate::{
    convex::{Access, AdminKey, InstanceName, InstanceSecret, Secret, admin_key::UnknownAccess},
    plugin::{Function, FunctionError, Parameter, Signature, value::Type},
};

/// The function.
#[derive(Debug)]
pub struct AdminKeyFunction;

impl Function for AdminKeyFunction {
    type Arguments = (String, Secret, Vec<String>);
    type Output = Secret;

    fn signature(&self) -> Signature {
        Signature::new(
            "Admin key of an instance",
            "Computes the admin key of an instance from its name and secret, without a backend. The same arguments always give the same key. Give `\"read_only\"` as a third argument for a key that may only read. Terraform treats the result as sensitive where an argument is.",
            Type::String,
        )
        .parameter(Parameter::new(
            "instance_name",
            Type::String,
            "The name of the instance.",
        ))
        .parameter(Parameter::new(
            "instance_secret",
            Type::String,
            "Its secret: 64 hexadecimal digits.",
        ))
        .variadic(Parameter::new(
            "access",
            Type::String,
            "`\"full\"` (default) or `\"read_only\"`.",
        ))
    }

    fn call(
        &self,
        (name, secret, access): (String, Secret, Vec<String>),
    ) -> Result<Secret, FunctionError> {
        let name = InstanceName::parse(&name)
            .map_err(|error| FunctionError::argument(0, error.to_string()))?;
        let secret = InstanceSecret::parse(secret.expose())
            .map_err(|error| FunctionError::argument(1, error.to_string()))?;
        let access = match &access[..] {
            [] => Access::Full,
            [one] => one
                .parse()
                .map_err(|error: UnknownAccess| FunctionError::argument(2, error.to_string()))?,
            _ => {
                let message = "There is one kind of access to a key. Remove this argument.";
                return Err(FunctionError::argument(3, message));
            }
        };
        AdminKey::issue(&name, &secret, access)
            .map(|key| key.as_secret().clone())
            .map_err(|error| FunctionError {
                argument: None,
                message: error.to_string(),
            })
    }
}
