//! A Kubernetes object as the operator applies it: exactly the fields that it owns, as JSON.

use crate::quantity;
use geode_api::ANNOTATION_APPLIED;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// The kinds of objects that a cluster consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1`
    ServiceAccount,
    /// `v1`
    ConfigMap,
    /// `v1`
    Secret,
    /// `v1`
    Service,
    /// `policy/v1`
    PodDisruptionBudget,
    /// `apps/v1`
    StatefulSet,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Secret,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::StatefulSet,
    ];

    /// API group, version, name of the kind, plural.
    pub fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::ServiceAccount => ("", "v1", "ServiceAccount", "serviceaccounts"),
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::Secret => ("", "v1", "Secret", "secrets"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::PodDisruptionBudget => ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet", "statefulsets"),
        }
    }
}

/// Kind and name, within the cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
}

/// What is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which.
    pub key: ObjectKey,
    /// Its fields, with `apiVersion`, `kind` and `metadata`.
    pub body: Value,
}

impl Object {
    /// Completes `body` with kind and name, and with a hash of all of it: a field that is no longer wanted differs only by that.
    pub fn new(kind: Kind, name: String, mut body: Value) -> Self {
        let (group, version, kind_name, _) = kind.names();
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        body["apiVersion"] = api_version.into();
        body["kind"] = kind_name.into();
        body["metadata"]["name"] = name.clone().into();
        let hash = hash(&body);
        body["metadata"]["annotations"][ANNOTATION_APPLIED] = hash.into();
        Self {
            key: ObjectKey { kind, name },
            body,
        }
    }

    /// Whether applying it to `live` would change nothing.
    pub fn is_applied_to(&self, live: &Value) -> bool {
        contains(live, &self.body)
    }
}

/// A short hash of a value; equal values have equal text, because maps are sorted.
pub(crate) fn hash(value: &Value) -> String {
    format!("{:032x}", xxh3_128(value.to_string().as_bytes()))
}

/// Whether every field of `part` is in `whole` with the same value. Lists must have the same length, element by element;
/// quantities are compared by amount.
pub fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|there| contains(there, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        (Value::String(whole), Value::String(part)) => whole == part || quantity::same(whole, part),
        _ => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_of_others_do_not_matter_and_every_field_of_ours_does() {
        let live = json!({"a": 1, "b": {"c": [{"d": 1, "by": "default"}]}});
        for (ours, applied) in [
            (json!({"b": {"c": [{"d": 1}]}}), true),
            (json!({"b": {"c": [{"d": 2}]}}), false),
            (json!({"b": {"c": []}}), false),
            (json!({"x": null}), false),
        ] {
            assert_eq!(contains(&live, &ours), applied, "{ours}");
        }
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_is_noticed_by_the_hash() {
        let with = Object::new(
            Kind::Service,
            "a".into(),
            json!({"spec": {"type": "LoadBalancer", "x": 1}}),
        );
        let without = Object::new(
            Kind::Service,
            "a".into(),
            json!({"spec": {"type": "LoadBalancer"}}),
        );
        assert!(with.is_applied_to(&with.body));
        assert!(!without.is_applied_to(&with.body));
    }
}
