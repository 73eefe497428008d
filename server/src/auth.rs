//! Who may enter. A password is checked against the argon2id hash in the replicated user table; an unknown user costs as much time as
//! a wrong password, every refusal waits, and one hash is computed at a time, so that guessing is slow and cannot starve the server. When
//! another member leads all clients come to it at once: a password that was right before is known again without a hash.

use crate::pipeline::internal;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use geode_graph::UserRecord;
use geode_store::Store;
use geode_types::QueryError;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How long a refusal waits.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);
/// Longer passwords are refused unread.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// What an unknown user's password is checked against: a hash with the costs of [`hash_password`] that no password is known to have.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// One hash at a time in a process: what argon2id fills, 19 MiB, would be the largest piece of an idle server.
pub(crate) static TURN: Semaphore = Semaphore::const_new(1);

/// Passwords that were right since this process began.
static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

/// Why nobody was let in. What the client is told does not say which it was.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Unknown user or wrong password.
    #[error("wrong user or password")]
    Credentials,
    /// The cluster has just begun, or this member has not been told yet; it has no secret to give away, and asking again helps.
    #[error(
        "the cluster has no users yet: its administrator gets the first password when a leader is elected"
    )]
    NoUsersYet,
    /// The user table cannot be read.
    #[error("the user table cannot be read: {0}")]
    Table(String),
}

/// The user, if the password is right. Waits before it refuses.
pub(crate) async fn check<S: Store>(store: &S, user: &str, password: &str) -> Result<UserRecord, Refused> {
    let found = look_up(store, user)?;
    let hash = found.as_ref().map_or(DECOY, |record| &record.hash);
    let is_right = matches(hash, password).await;
    match found {
        Some(record) if is_right => Ok(record),
        _ => {
            tokio::time::sleep(REFUSAL_DELAY).await;
            Err(Refused::Credentials)
        }
    }
}

async fn matches(hash: &str, password: &str) -> bool {
    if password.len() > MAX_PASSWORD_BYTES {
        return false;
    }
    if KNOWN.has(hash, password) {
        return true;
    }
    let (hash, password) = (hash.to_owned(), password.to_owned());
    in_turn(move || {
        let is_right = verify_password(&hash, &password);
        if is_right {
            KNOWN.keep(&hash, &password);
        }
        is_right
    })
    .await
    .unwrap_or(false)
}

/// For each hash of the user table a quick digest of the password that fits it. The digests have a key that is made by the process and never
/// leaves its memory, so they are worth nothing elsewhere; a changed password has another hash, and the old one is not asked for any more.
struct Known {
    key: [u8; 32],
    digests: Mutex<HashMap<String, [u8; 32]>>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            key: rand::random(),
            digests: Mutex::default(),
        }
    }
}

impl Known {
    /// So many are kept; when there are more, all are forgotten and hashed again.
    const MAX: usize = 10_000;

    fn digest(&self, hash: &str, password: &str) -> [u8; 32] {
        // A hash in PHC form has no zero in it.
        let parts = [&self.key, hash.as_bytes(), &[0], password.as_bytes()];
        parts
            .iter()
            .fold(Sha256::new(), Digest::chain_update)
            .finalize()
            .into()
    }

    fn has(&self, hash: &str, password: &str) -> bool {
        let digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests
            .get(hash)
            .is_some_and(|known| *known == self.digest(hash, password))
    }

    fn keep(&self, hash: &str, password: &str) {
        let digest = self.digest(hash, password);
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.len() >= Self::MAX {
            digests.clear();
        }
        digests.insert(hash.to_owned(), digest);
    }
}

/// Runs work that computes hashes on a thread that may block, when it is its turn. `None` when it panicked.
pub(crate) async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let turn = TURN.acquire().await.ok()?;
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    work.await.ok()
}

fn look_up<S: Store>(store: &S, user: &str) -> Result<Option<UserRecord>, Refused> {
    let unreadable = |error: &dyn std::fmt::Display| Refused::Table(error.to_string());
    let read = store.read().map_err(|error| unreadable(&error))?;
    let found = geode_graph::user(&read, user).map_err(|error| unreadable(&error))?;
    if found.is_none() && !geode_graph::has_users(&read).map_err(|error| unreadable(&error))? {
        return Err(Refused::NoUsersYet);
    }
    Ok(found)
}

/// The argon2id hash of a password with a new salt, in PHC form: what the user table holds.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// The same for a statement that sets a password, in turn. Only on a thread that may block.
pub(crate) fn hash_in_turn(password: &str) -> Result<String, QueryError> {
    // The semaphore is never closed, so the turn always comes.
    let _turn = Handle::current().block_on(TURN.acquire());
    hash_password(password).map_err(|error| internal(format!("the password cannot be hashed: {error}")))
}

/// Whether a password fits a hash of the user table. Takes tens of milliseconds: it is meant to be slow.
pub(crate) fn verify_password(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::Params;
    use geode_graph::{ADMIN_ROLE, Command, Commit, CommitSummary, Effect, LogPosition, apply};
    use geode_store::{MemStore, WriteTxn};
    use geode_types::{LogIndex, Term};
    use std::time::Instant;

    fn store_with(user: &str, password: &str) -> MemStore {
        let store = MemStore::new();
        let record = UserRecord {
            name: user.into(),
            hash: hash_password(password).unwrap(),
            role: ADMIN_ROLE.into(),
        };
        let commit = Commit {
            request_id: None,
            certified_term: Term(1),
            sequence: 1,
            at_micros: 0,
            effects: vec![Effect::PutUser(record)],
            summary: CommitSummary::default(),
        };
        let mut tx = store.write().unwrap();
        apply(
            &mut tx,
            LogPosition {
                term: Term(1),
                index: LogIndex(1),
            },
            &Command::Commit(Box::new(commit)),
        )
        .unwrap();
        tx.commit().unwrap();
        store
    }

    #[tokio::test]
    async fn the_right_password_enters_at_once_and_wrong_ones_wait_the_same() {
        let store = store_with("ada", "engine");
        // A busy machine may take its time for one, not for each of them.
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let entered = check(&store, "ada", "engine").await.unwrap();
            assert_eq!(entered.role, ADMIN_ROLE);
            fastest = fastest.min(start.elapsed());
        }
        assert!(fastest < REFUSAL_DELAY, "{fastest:?}");
        let long = "x".repeat(MAX_PASSWORD_BYTES + 1);
        for (user, password) in [
            ("ada", "wrong"),
            ("nobody", "engine"),
            ("ada", ""),
            ("", ""),
            ("ada", &long),
        ] {
            let start = Instant::now();
            assert!(check(&store, user, password).await.is_err(), "{user} {password}");
            assert!(start.elapsed() >= REFUSAL_DELAY, "{user} {password}");
        }
    }

    #[tokio::test]
    async fn a_client_that_comes_back_enters_while_others_are_hashed_and_a_wrong_password_never_does() {
        let store = store_with("grace", "compiler");
        check(&store, "grace", "compiler").await.unwrap();
        let turn = TURN.acquire().await.unwrap();
        let again = tokio::time::timeout(Duration::from_secs(20), check(&store, "grace", "compiler"));
        again.await.expect("no turn is needed").unwrap();
        let wrong = tokio::time::timeout(REFUSAL_DELAY, check(&store, "grace", "computer"));
        assert!(wrong.await.is_err(), "a wrong one waits for its turn");
        drop(turn);
        assert!(check(&store, "grace", "computer").await.is_err());
        // Another password, another hash: the old one is not known any more.
        let changed = store_with("grace", "linker");
        assert!(check(&changed, "grace", "compiler").await.is_err());
    }

    #[tokio::test]
    async fn a_cluster_without_users_says_so_instead_of_calling_the_password_wrong() {
        let refused = check(&MemStore::new(), "ada", "engine").await;
        assert!(matches!(refused, Err(Refused::NoUsersYet)), "{refused:?}");
    }

    #[test]
    fn only_the_right_password_fits_and_the_decoy_costs_as_much() {
        let hash = hash_password("engine").unwrap();
        for (password, fits) in [("engine", true), ("wrong", false), ("engine", true), ("", false)] {
            assert_eq!(verify_password(&hash, password), fits, "{password}");
        }
        assert!(!verify_password("not a hash", "engine"));
        // Made by argon2-cffi 25 (the reference implementation in C).
        let foreign = "$argon2id$v=19$m=19456,t=2,p=1$ZXhhbXBsZS1zYWx0LTE2Yg$1ym6gFzJshopmrvKVpasVICY519uzsBKm8MzcePjZY8";
        assert!(verify_password(foreign, "hunter42") && !verify_password(foreign, "hunter43"));
        assert!(!verify_password(DECOY, "engine"));
        let costs = |hash: &str| Params::try_from(&PasswordHash::new(hash).unwrap()).unwrap();
        let (decoy, real) = (costs(DECOY), costs(&hash));
        assert_eq!(
            (decoy.m_cost(), decoy.t_cost(), decoy.p_cost(), decoy.output_len()),
            (real.m_cost(), real.t_cost(), real.p_cost(), real.output_len())
        );
    }

    #[test]
    fn a_hash_is_argon2id_with_a_salt_of_its_own() {
        let (one, two) = (hash_password("same").unwrap(), hash_password("same").unwrap());
        assert!(one.starts_with("$argon2id$") && one != two, "{one} {two}");
    }
}
