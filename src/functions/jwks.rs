//! `jwks`: the public half of a private key.

use crate::{
    convex::{AuthKeys, Secret},
    plugin::{Function, FunctionError, Parameter, Signature, value::Type},
};

/// The function.
#[derive(Debug)]
pub struct JwksFunction;

impl Function for JwksFunction {
    type Arguments = (Secret,);
    type Output = String;

    fn signature(&self) -> Signature {
        Signature::new(
            "Key set for a private key",
            "Computes the public key of an RSA private key as a JSON Web Key Set of one key: for the variable `JWKS`, byte for byte as the command line of `@convex-dev/auth` writes it beside `JWT_PRIVATE_KEY`. Terraform treats the result as sensitive where the argument is, though it may be seen by anybody: `nonsensitive` undoes that.",
            Type::String,
        )
        .parameter(Parameter::new(
            "private_key",
            Type::String,
            "The private key as PKCS#8 PEM: in lines, or on one line as in `JWT_PRIVATE_KEY`.",
        ))
    }

    fn call(&self, (pem,): (Secret,)) -> Result<String, FunctionError> {
        AuthKeys::parse(pem.expose())
            .map(|keys| keys.jwks())
            .map_err(|error| FunctionError::argument(0, error.to_string()))
    }
}
