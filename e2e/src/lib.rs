//! What the end-to-end tests share: kubectl, a cluster under test, a ledger of writes. Black box: everything goes through `kubectl` and
//! `kubectl geode`, as a user's scripts would. `cargo xtask e2e` sets the environment.

mod alerts;
mod bucket;
mod cluster;
mod fault;
mod kubectl;
mod ledger;
mod relay;
mod turn;
mod volume;

pub use alerts::{Scrape, Then, ensure_fire, firing};
pub use cluster::Cluster;
pub use fault::Fault;
pub use kubectl::{S3, environment, kubectl, kubectl_input, kubectl_status};
pub use ledger::{Account, Ledger};
pub use relay::Relay;
pub use volume::{Ballast, Frozen, damage_log};

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Asks until there is an answer; the error says what was waited for and what the last attempt said.
pub fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<(T, Duration)> {
    let start = Instant::now();
    loop {
        let last = match probe() {
            Ok(Some(value)) => return Ok((value, start.elapsed())),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > timeout {
            bail!("{what}: not within {timeout:?}; last: {last}");
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
