//! One round for one cluster: observe → plan → check → act → status. Each step is a call; the decisions are the planner's.

mod absent;

use crate::act::{ActError, Hands};
use crate::context::{Context, Key};
use crate::observe::{Look, ObserveError, observe};
use crate::status;
use absent::Absent;
use geode_api::{ConditionType, GeodeCluster, GeodeClusterStatus, Reason, RestorePhase, runbook};
use geode_planner::{
    Action, Invalid, MemberSeen, Plan, Progress, Report, RestoreView, Violation, Want, check, cluster_status,
    invalid_status, plan, validate,
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use std::collections::BTreeMap;
use std::time::Duration;

/// After actions the world is looked at again soon.
const AFTER_ACTION: Duration = Duration::from_millis(300);
/// While something is awaited.
const WHILE_WAITING: Duration = Duration::from_secs(1);
/// With nothing to do: what no watch reports, such as certificates that age.
const WHILE_IDLE: Duration = Duration::from_secs(60);

/// A round could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Kubernetes could not be read.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The object could not be read, or its status not be written.
    #[error("failed to {what}: {source}")]
    Cluster {
        /// Verb.
        what: &'static str,
        /// Why.
        #[source]
        source: kube::Error,
    },
}

/// How a round ended.
pub enum Outcome {
    /// There is no such cluster.
    Gone,
    /// There is nothing to do until something changes.
    Refused,
    /// Observed, and acted if need be.
    Round(Box<Round>),
}

/// What a round leaves for the time until the next one.
pub struct Round {
    /// The manifest.
    pub want: Want,
    /// What was seen.
    pub look: Look,
    /// The plan that was carried out.
    pub plan: Plan,
    /// How it went.
    pub report: Report,
    /// What was reported.
    pub status: GeodeClusterStatus,
    /// When the next round is due at the latest.
    pub next: Duration,
}

fn failed(what: &'static str) -> impl FnOnce(kube::Error) -> ReconcileError {
    move |source| ReconcileError::Cluster { what, source }
}

/// Runs a round.
pub async fn reconcile(context: &Context, key: &Key) -> Result<Outcome, ReconcileError> {
    let api: Api<GeodeCluster> = Api::namespaced(context.client.clone(), &key.namespace);
    let found = api.get_opt(&key.name).await;
    let cluster = match found.map_err(failed("read the GeodeCluster"))? {
        Some(cluster) => cluster,
        None => {
            context.metrics.keep_conditions(key, &[]);
            match Box::pin(absent::hold(context, key)).await? {
                Absent::Made(cluster) => *cluster,
                Absent::Awaited => return Ok(Outcome::Refused),
                Absent::Nobody => return Ok(Outcome::Gone),
            }
        }
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Refused);
    }
    let want = match validate(&cluster, &context.defaults) {
        Ok(want) => want,
        Err(invalid) => return refuse(context, key, &cluster, &invalid).await,
    };
    let look = Box::pin(observe(context, key, &cluster)).await?;
    let now = Timestamp::now();
    let plan = plan(&want, &look.observed, now);
    let report = match check(&plan, &want, &look.observed, now) {
        Ok(()) => carry_out(context, key, &cluster, &want, &look, &plan).await,
        Err(violations) => refuse_plan(context, key, &cluster, &violations).await,
    };
    announce(context, &cluster, &plan).await;
    let makers = |restore: &RestoreView| restore.spec.new_cluster.is_some() && is_open(restore);
    if let Some(pause) = want.maintenance.pause(now)
        && look.observed.restores.iter().any(makers)
    {
        Box::pin(absent::tell_makers(context, key, &cluster, &pause.describe())).await?;
    }
    let status = cluster_status(&want, &look.observed, &plan, &report, Timestamp::now());
    status::report(&context.client, key, &look.observed.status, &status)
        .await
        .map_err(failed("write the status"))?;
    context.metrics.keep_conditions(key, &status.conditions);
    let restoring = look.observed.restores.iter().any(is_open);
    let next = next_round(&plan, &report, &status, restoring).min(left_of_pause(&want));
    Ok(Outcome::Round(Box::new(Round {
        want,
        look,
        plan,
        report,
        status,
        next,
    })))
}

/// What it waits for, such as the archive, is reported by no watch.
fn is_open(restore: &RestoreView) -> bool {
    matches!(
        restore.status.phase,
        RestorePhase::Pending | RestorePhase::Running
    )
}

/// A pause ends by itself; no watch tells of it.
fn left_of_pause(want: &Want) -> Duration {
    let now = Timestamp::now();
    let left = want
        .maintenance
        .pause(now)
        .map(|pause| pause.until.duration_since(now));
    left.map_or(WHILE_IDLE, |left| {
        Duration::try_from(left).unwrap_or_default() + AFTER_ACTION
    })
}

fn is_resting(plan: &Plan) -> bool {
    matches!(plan.progress, Progress::Resting(..))
}

fn next_round(plan: &Plan, report: &Report, status: &GeodeClusterStatus, restoring: bool) -> Duration {
    let ready = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == ConditionType::Ready.to_string() && condition.status == "True");
    match report {
        Report::Done
            if plan.actions.iter().any(|action| {
                !matches!(action, Action::RecordBackup { .. } | Action::RecordRestore { .. })
            }) =>
        {
            AFTER_ACTION
        }
        Report::Done if (ready || is_resting(plan)) && plan.is_settled() && !restoring => WHILE_IDLE,
        _ => WHILE_WAITING,
    }
}

async fn carry_out(
    context: &Context,
    key: &Key,
    cluster: &GeodeCluster,
    want: &Want,
    look: &Look,
    plan: &Plan,
) -> Report {
    let mut hands = Hands {
        context,
        key,
        want,
        look,
        version: cluster.resource_version(),
        written: BTreeMap::new(),
    };
    match hands.execute(&plan.actions).await {
        Ok(()) => {
            for action in plan.actions.iter().filter(|action| is_news(action)) {
                let reason = reason(&plan.progress).unwrap_or(Reason::Applying);
                context.acted(cluster, &reason.to_string(), action).await;
            }
            Report::Done
        }
        Err(error) => {
            report_failure(context, key, cluster, &error).await;
            Report::Failed(error.to_string())
        }
    }
}

async fn report_failure(context: &Context, key: &Key, cluster: &GeodeCluster, error: &ActError) {
    tracing::warn!(cluster = %key, %error, "an action failed");
    context.metrics.rounds.with_label_values(&["failed"]).inc();
    context
        .event(
            cluster,
            true,
            &Reason::ActionFailed.to_string(),
            "Act",
            &error.to_string(),
        )
        .await;
}

async fn refuse_plan(
    context: &Context,
    key: &Key,
    cluster: &GeodeCluster,
    violations: &[Violation],
) -> Report {
    let said: Vec<String> = violations.iter().map(Violation::to_string).collect();
    let said = said.join("; ");
    tracing::error!(cluster = %key, violations = said, "the plan breaks a safety rule and is not carried out");
    context.metrics.rounds.with_label_values(&["refused"]).inc();
    context
        .event(cluster, true, &Reason::UnsafePlan.to_string(), "Check", &said)
        .await;
    Report::Refused(said)
}

/// Bookkeeping and labels are no news; what touches the database is.
fn is_news(action: &Action) -> bool {
    !matches!(
        action,
        Action::Record(_)
            | Action::SetRole { .. }
            | Action::RecordBackup { .. }
            | Action::RecordRestore { .. }
    )
}

fn reason(progress: &Progress) -> Option<Reason> {
    match progress {
        Progress::Idle => None,
        Progress::Working(reason, _)
        | Progress::Waiting(reason, _)
        | Progress::Stuck(reason, _)
        | Progress::Resting(reason, _) => Some(*reason),
    }
}

/// What asks for a person is an event too.
async fn announce(context: &Context, cluster: &GeodeCluster, plan: &Plan) {
    if let Progress::Stuck(reason, message) = &plan.progress {
        let note =
            runbook(*reason).map_or_else(|| message.clone(), |runbook| format!("{message} ({runbook})"));
        context
            .event(cluster, true, &reason.to_string(), "Plan", &note)
            .await;
    }
}

async fn refuse(
    context: &Context,
    key: &Key,
    cluster: &GeodeCluster,
    invalid: &Invalid,
) -> Result<Outcome, ReconcileError> {
    let before = cluster.status.clone().unwrap_or_default();
    let status = invalid_status(
        &before,
        cluster.metadata.generation.unwrap_or_default(),
        &invalid.to_string(),
        Timestamp::now(),
    );
    status::report(&context.client, key, &before, &status)
        .await
        .map_err(failed("write the status"))?;
    context.metrics.keep_conditions(key, &status.conditions);
    context
        .event(
            cluster,
            true,
            &Reason::InvalidSpec.to_string(),
            "Validate",
            &invalid.to_string(),
        )
        .await;
    let why = format!("its manifest is not valid: {invalid}");
    Box::pin(absent::tell_makers(context, key, cluster, &why)).await?;
    Ok(Outcome::Refused)
}

impl Round {
    /// What the members say now, between two rounds. Whether a new round is needed: something other than counters has changed.
    pub fn is_news(&self, members: &BTreeMap<String, MemberSeen>) -> bool {
        vital(members) != vital(&self.look.observed.members)
            || status::differs_in_substance(&self.status, &self.refreshed(members))
    }

    fn refreshed(&self, members: &BTreeMap<String, MemberSeen>) -> GeodeClusterStatus {
        let mut seen = self.look.observed.clone();
        seen.members = members.clone();
        seen.status = self.status.clone();
        cluster_status(&self.want, &seen, &self.plan, &self.report, Timestamp::now())
    }

    /// Reports counters between two rounds.
    pub async fn refresh(
        &mut self,
        context: &Context,
        key: &Key,
        members: BTreeMap<String, MemberSeen>,
    ) -> Result<(), kube::Error> {
        let status = self.refreshed(&members);
        status::report(&context.client, key, &self.status, &status).await?;
        context.metrics.keep_conditions(key, &status.conditions);
        self.look.observed.members = members;
        self.status = status;
        Ok(())
    }
}

/// What decisions are made from, without what changes all the time.
fn vital(members: &BTreeMap<String, MemberSeen>) -> BTreeMap<&String, String> {
    let line = |seen: &MemberSeen| match seen {
        MemberSeen::Unknown(_) => "unknown".to_owned(),
        MemberSeen::Seen(status) => format!(
            "{} {:?} {:?} {} {} {:?} {:?} {:?} {:?} {:?}",
            status.address.id,
            status.state,
            status.cluster_id,
            status.role,
            status.term,
            status.leader,
            status.not_ready,
            status.read_only,
            status.membership,
            status.tasks,
        ),
    };
    members.iter().map(|(pod, seen)| (pod, line(seen))).collect()
}
