//! What the rounds of schedules and of restore tests share: how they fail.

/// A round could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// Kubernetes could not be read.
    #[error("failed to read {what}: {source}")]
    Read {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// A step could not be done.
    #[error("failed to {what} of {owner}: {source}")]
    Step {
        /// Verb and object.
        what: &'static str,
        /// Kind and name of the object that is looked after.
        owner: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The name of something that was to be made is taken; says by whom, and what to do.
    #[error("{0}")]
    Taken(String),
}

pub(crate) fn reading(what: &'static str) -> impl FnOnce(kube::Error) -> RoundError {
    move |source| RoundError::Read { what, source }
}

pub(crate) fn failed_to(what: &'static str, owner: String) -> impl FnOnce(kube::Error) -> RoundError {
    move |source| RoundError::Step { what, owner, source }
}
