//! The membership of a data directory that was made from a backup: one voter, from the entry on that the backup ends with.

use super::apply::{META_BEGUN, META_MEMBERSHIP};
use super::types::{Member, Types, encode_stored, log_id};
use geode_log::Position;
use geode_store::WriteTxn;
use geode_wire::client::MemberAddress;
use openraft::alias::StoredMembershipOf;
use openraft::{Membership, TokioRuntime};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Makes `member` the only voter, as if the entry at `position` had said so.
pub(crate) fn found_with_one_voter(
    tx: &mut impl WriteTxn,
    position: Position,
    member: &MemberAddress,
) -> io::Result<()> {
    let voters = BTreeSet::from([member.id.0]);
    let nodes = BTreeMap::from([(member.id.0, Member(member.clone()))]);
    let membership = Membership::new(vec![voters], nodes).map_err(io::Error::other)?;
    let at = Some(log_id::<TokioRuntime>(position));
    let stored = StoredMembershipOf::<Types<TokioRuntime>>::new(at, membership);
    let bytes = encode_stored::<TokioRuntime>(&stored)?;
    geode_graph::put_meta(tx, META_MEMBERSHIP, &bytes).map_err(io::Error::other)?;
    geode_graph::put_meta(tx, META_BEGUN, &[1]).map_err(io::Error::other)
}
