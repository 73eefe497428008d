//! Configuration files of the cluster's programs: the texts of `e2e/kube/` with `{{NAME}}` filled in. Pure.

use anyhow::{Result, bail};

pub(crate) const CONTAINERD: &str = include_str!("../../../e2e/kube/templates/containerd.toml");
pub(crate) const CNI: &str = include_str!("../../../e2e/kube/templates/cni.conflist");
pub(crate) const KUBELET: &str = include_str!("../../../e2e/kube/templates/kubelet.yaml");
pub(crate) const COREFILE: &str = include_str!("../../../e2e/kube/templates/Corefile");
pub(crate) const KUBECONFIG: &str = include_str!("../../../e2e/kube/templates/kubeconfig.yaml");
pub(crate) const DNS: &str = include_str!("../../../e2e/kube/manifests/dns.yaml");
pub(crate) const STORAGE: &str = include_str!("../../../e2e/kube/manifests/storage.yaml");

/// Fills in every `{{NAME}}`; a name without a value is an error.
pub(crate) fn render(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let filled = values.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    });
    if let Some(start) = filled.find("{{") {
        let rest = filled.get(start..).unwrap_or_default();
        bail!(
            "a template of e2e/kube has no value for {}",
            rest.split("}}").next().unwrap_or(rest).trim_start_matches('{')
        );
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_filled_in() {
        assert_eq!(
            render("a {{X}} b {{Y}} {{X}}", &[("X", "1"), ("Y", "2")]).unwrap(),
            "a 1 b 2 1"
        );
    }

    #[test]
    fn a_forgotten_name_is_an_error_that_names_it() {
        let error = render("a {{X}} b", &[]).unwrap_err().to_string();
        assert!(error.contains(" X"), "{error}");
    }
}
