//! Schemas in the protocol's own form.

use super::{Attribute, Attributes, Nesting, Presence, Schema, Shape};
use crate::plugin::{
    members::{Parameter, Signature},
    proto,
};

impl Schema {
    pub(crate) fn to_proto(&self) -> proto::Schema {
        proto::Schema {
            version: self.version,
            block: Some(proto::schema::Block {
                version: self.version,
                attributes: attributes(&self.attributes),
                description: self.description.clone(),
                description_kind: proto::StringKind::Markdown.into(),
                ..Default::default()
            }),
        }
    }
}

fn attributes(attributes: &Attributes) -> Vec<proto::schema::Attribute> {
    attributes
        .iter()
        .map(|(name, attribute)| to_proto(name, attribute))
        .collect()
}

fn to_proto(name: &str, attribute: &Attribute) -> proto::schema::Attribute {
    let (ty, nested_type) = match &attribute.shape {
        Shape::Leaf(ty) => (ty.to_json().into_bytes(), None),
        Shape::Nested(nesting, nested) => {
            use proto::schema::object::NestingMode;
            let nesting = match nesting {
                Nesting::Single => NestingMode::Single,
                Nesting::List => NestingMode::List,
                Nesting::Set => NestingMode::Set,
                Nesting::Map => NestingMode::Map,
            };
            let object = proto::schema::Object {
                attributes: attributes(nested),
                nesting: nesting.into(),
            };
            (Vec::new(), Some(object))
        }
    };
    let required = matches!(attribute.presence, Presence::Required);
    proto::schema::Attribute {
        name: name.to_owned(),
        r#type: ty,
        nested_type,
        description: attribute.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
        required,
        optional: attribute.presence.is_configurable() && !required,
        computed: attribute.presence.is_computed(),
        sensitive: attribute.sensitive,
        write_only: attribute.write_only,
        deprecated: attribute.deprecated.is_some(),
        deprecation_message: attribute.deprecated.clone().unwrap_or_default(),
    }
}

impl Signature {
    pub(crate) fn to_proto(&self) -> proto::Function {
        let parameter = |parameter: &Parameter| proto::function::Parameter {
            name: parameter.name.to_owned(),
            r#type: parameter.ty.to_json().into_bytes(),
            allow_null_value: parameter.nullable,
            // Terraform then takes the result as unknown without asking.
            allow_unknown_values: false,
            description: parameter.description.to_owned(),
            description_kind: proto::StringKind::Markdown.into(),
        };
        proto::Function {
            parameters: self.parameters.iter().map(parameter).collect(),
            variadic_parameter: self.variadic.as_ref().map(parameter),
            r#return: Some(proto::function::Return {
                r#type: self.returns.to_json().into_bytes(),
            }),
            summary: self.summary.to_owned(),
            description: self.description.to_owned(),
            description_kind: proto::StringKind::Markdown.into(),
            deprecation_message: String::new(),
        }
    }
}
