//! `geode ping`, `health` and `ready`: for people, and for probes of whatever runs the server.

use crate::Failure;
use crate::args::{PingArgs, ProbeArgs};
use geode_client::{Client, ClientError, ReadMode, RetryPolicy, Statement};
use geode_types::Role;

pub(crate) async fn ping(args: PingArgs) -> Result<(), Failure> {
    let mut connect = args.connect;
    if let Some(address) = args.address {
        connect.host = vec![address];
    }
    let client = connect.client()?;
    let (endpoint, took) = client.ping().await?;
    println!("pong from {endpoint} in {:.2} ms", took.as_secs_f64() * 1000.0);
    client.close().await;
    Ok(())
}

/// A server that refuses our password is alive: the handshake and its answer are what counts. So no password is needed.
pub(crate) async fn health(args: ProbeArgs) -> Result<(), Failure> {
    let client = args
        .connect
        .builder()?
        .password(args.connect.password().unwrap_or_default())
        .connect_timeout(args.timeout)
        .deadline(args.timeout)
        .build()
        .map_err(Failure::from)?;
    let endpoint = first(&args);
    let answer = client.cluster_seen_by(endpoint).await;
    client.close().await;
    match answer {
        Ok(_) | Err(ClientError::Unauthenticated { .. }) => {
            println!("{endpoint} is alive");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn ready(args: ProbeArgs) -> Result<(), Failure> {
    let client = args
        .connect
        .builder()?
        .password(args.connect.password()?)
        .connect_timeout(args.timeout)
        .deadline(args.timeout)
        .retry_policy(RetryPolicy::none())
        .build()
        .map_err(Failure::from)?;
    let endpoint = first(&args);
    let verdict = tokio::time::timeout(args.timeout, serves(&client, endpoint)).await;
    client.close().await;
    match verdict {
        Ok(Ok(None)) => {
            println!("{endpoint} is ready");
            Ok(())
        }
        Ok(Ok(Some(reason))) => Err(Failure::Message(format!("{endpoint} is not ready: {reason}"))),
        Ok(Err(error)) => Err(Failure::Message(format!("{endpoint} is not ready: {error}"))),
        Err(_) => Err(Failure::Message(format!(
            "{endpoint} is not ready: no answer within {:?}",
            args.timeout
        ))),
    }
}

/// `None` when the member answers queries: it has a place in a cluster that has a leader, reads its own graph, and the cluster reads
/// what is acknowledged (which takes a quorum).
async fn serves(client: &Client, endpoint: &str) -> Result<Option<String>, ClientError> {
    let view = client.cluster_seen_by(endpoint).await?;
    let me = view.members.iter().find(|member| member.address.id == view.me);
    match me.map(|me| me.role) {
        None | Some(Role::Joining) => return Ok(Some("it has no place in a cluster yet".to_owned())),
        Some(Role::Leader | Role::Follower | Role::Observer) => {}
    }
    if view.leader.is_none() {
        return Ok(Some("it knows of no leader".to_owned()));
    }
    client
        .execute_on(endpoint, Statement::new("RETURN 1 AS one").read(ReadMode::Local))
        .await?;
    client.execute("RETURN 1 AS one").await?;
    Ok(None)
}

fn first(args: &ProbeArgs) -> &str {
    args.connect.host.first().map_or("", String::as_str)
}
