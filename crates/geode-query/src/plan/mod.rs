//! Plans. [`logical`] is what a statement means, independent of data and parameters; [`physical`] is how this run does it, chosen
//! from the graph's statistics at that moment.

pub(crate) mod access;
pub(crate) mod explain;
pub(crate) mod logical;
pub(crate) mod matching;
pub(crate) mod physical;
mod reach;
pub(crate) mod reads;
pub(crate) mod sargs;
