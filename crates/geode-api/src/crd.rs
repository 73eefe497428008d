//! The CustomResourceDefinitions as files: `crds/`, and the chart's copies of them. Written by `cargo xtask generate`.

use crate::{GeodeBackup, GeodeBackupSchedule, GeodeCluster, GeodeRestore, GeodeRestoreTest};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// One definition.
pub struct Crd {
    /// The file that holds it: `geodeclusters.yaml`.
    pub file: String,
    /// The definition.
    pub definition: CustomResourceDefinition,
}

impl Crd {
    /// Its text. It does not depend on the machine or the moment.
    pub fn yaml(&self) -> String {
        let value = serde_json::to_value(&self.definition).expect("invariant: a CRD is plain data");
        serde_saphyr::to_string(&value).expect("invariant: plain data is YAML")
    }
}

/// All definitions.
pub fn crds() -> Vec<Crd> {
    [
        GeodeCluster::crd(),
        GeodeBackup::crd(),
        GeodeBackupSchedule::crd(),
        GeodeRestore::crd(),
        GeodeRestoreTest::crd(),
    ]
    .into_iter()
    .map(|definition| Crd {
        file: format!("{}.yaml", definition.spec.names.plural),
        definition,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kubectl apply` keeps the whole object in an annotation of at most 256 KiB; with a CRD larger than that it fails.
    #[test]
    fn a_definition_is_small_enough_for_every_way_to_apply_it() {
        for crd in crds() {
            assert!(
                crd.yaml().len() < 200_000,
                "{}: {} bytes",
                crd.file,
                crd.yaml().len()
            );
        }
    }

    #[test]
    fn an_empty_spec_is_a_cluster_of_three() {
        let spec: crate::GeodeClusterSpec = serde_json::from_value(serde_json::json!({})).unwrap();
        assert_eq!((spec.members, spec.storage.size.as_str()), (3, "10Gi"));
    }
}
