//! Rules of the project that no other tool checks: who may import whom, length and head of files, words that unfinished code uses.

mod arrows;
mod sources;

use anyhow::{Result, bail};

/// Reports every broken rule at once.
pub(crate) fn run() -> Result<()> {
    let mut broken = arrows::check()?;
    broken.extend(sources::check()?);
    if broken.is_empty() {
        Ok(())
    } else {
        bail!("{} rules are broken:\n  {}", broken.len(), broken.join("\n  "))
    }
}
