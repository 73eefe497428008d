//! How long no write is acknowledged when the leader is killed under load, at equal timing.

use crate::etcd::Etcd;
use crate::figures::{Median, measure};
use crate::goals::{Better, Goals};
use crate::write::{WRITE, geode_load};
use anyhow::{Context, Result};
use geode_tests::members::Members;
use std::process::Command;
use std::time::Duration;

const CLIENTS: u32 = 16;
const LOAD: Duration = Duration::from_secs(6);
const KILL_AFTER: Duration = Duration::from_secs(2);
/// A request that a follower of etcd has passed on to a leader that died is answered after 5 s or more. Its clients give up earlier and ask
/// again, so that the gap is the cluster's and not theirs.
const PATIENCE: &str = "300ms";
/// Not more than a tenth longer than etcd.
const GOAL: f64 = 1.0 / 1.1;

/// Kills for a round of the other rows: both draw their election times at random, etcd from 300 to 600 ms, so a few say little.
const KILLS_A_ROUND: u64 = 3;

/// A line with both times and their ratio.
pub(crate) fn run(geode: &mut Members, etcd: &mut Etcd, rounds: u64, goals: &mut Goals) -> Result<String> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds * KILLS_A_ROUND {
        let leader = geode.leader();
        let load = geode_load(geode, CLIENTS, LOAD, WRITE);
        ours.push(gap(load, || {
            geode.kill(leader);
            Ok(())
        })?);
        geode.start(leader);
        geode.wait_ready(leader);
        let leader = etcd.leader()?;
        let mut load = etcd.load(CLIENTS, LOAD, false)?;
        load.args(["-timeout", PATIENCE]);
        theirs.push(gap(load, || etcd.kill(leader))?);
        etcd.restart(leader)?;
        eprintln!(
            "kill -9 of the leader: {:?} ms, {:?} ms",
            ours.last(),
            theirs.last()
        );
    }
    goals.beside("failover", &ours, &theirs, Better::Smaller, GOAL);
    let ratio = Median::of(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs));
    let (ours, theirs) = (Median::of(ours), Median::of(theirs));
    Ok(format!(
        "Without an acknowledged write after kill -9 of the leader, ms: Geode {ours}, etcd {theirs}, ratio **{ratio}**"
    ))
}

fn gap(mut load: Command, kill: impl FnOnce() -> Result<()>) -> Result<f64> {
    std::thread::scope(|scope| {
        // Processes end while it is measured, so there is no sum of their time.
        let measuring = scope.spawn(move || measure(&mut load, WRITE, || Ok(0.0)));
        std::thread::sleep(KILL_AFTER);
        kill()?;
        let figures = measuring.join().ok().context("the load ends")??;
        Ok(figures.gap_ms)
    })
}
