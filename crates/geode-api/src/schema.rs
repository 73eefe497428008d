//! Schemas that the types alone cannot express.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A Kubernetes quantity of bytes, as a string. Positive, because a volume of nothing is a slip.
pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [
            {
                "rule": "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                "message": "not a size; write a number with a unit, for example 10Gi or 500Mi"
            }
        ]
    })
}

/// The same without a past: what is made anew every time may be smaller than the last time.
pub(crate) fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
            "message": "not a size; write a number with a unit, for example 10Gi or 500Mi"
        }]
    })
}

/// Any keys: `geode.yaml` has its own schema, which the operator checks.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
