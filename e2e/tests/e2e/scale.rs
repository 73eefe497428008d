//! Members come as learners, vote when they have caught up, and leave before their pod goes.

use anyhow::{Result, ensure};
use geode_e2e::{Cluster, Ledger, wait_for};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_cluster_scales_one_three_five_three_under_writes() -> Result<()> {
    let cluster = Cluster::new("scale")?;
    let spec = |members: u32| json!({"members": members, "timing": "fast", "storage": {"size": "1Gi"}});
    cluster.apply(&spec(1))?;
    cluster.wait_ready()?;
    let ledger = Ledger::start(&cluster, "scale-0");
    for members in [3, 5, 3] {
        cluster.apply(&spec(members))?;
        let took = cluster.wait_ready()?;
        println!("scale: {members} members after {:.1} s", took.as_secs_f64());
        wait_for("exactly these pods and members", Duration::from_secs(60), || {
            let (pods, status) = (cluster.pods()?.len(), cluster.status()?);
            let voting = status["members"].as_array().map_or(0, Vec::len);
            Ok((pods == members as usize && voting == members as usize).then_some(()))
        })?;
    }
    let account = ledger.finish()?;
    println!(
        "scale: {} writes, longest gap {:.2} s",
        account.acknowledged.len(),
        account.longest_gap.as_secs_f64()
    );
    ensure!(
        account.acknowledged.len() > 50,
        "hardly any writes: {}",
        account.acknowledged.len()
    );
    account.check(&cluster)
}
