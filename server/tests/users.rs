//! Users on a real single-member server: they log in with their passwords, and do what they may.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use geode_client::ClientError;
use geode_types::{ErrorClass, Value};
use support::{query_error, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_logs_in_with_its_password_and_no_other_and_does_what_its_role_may() {
    let running = start(|_| {}).await;
    let admin = running.client();
    admin
        .query("CREATE USER rob WITH PASSWORD 'first-word' ROLE reader")
        .await
        .unwrap();
    let rob = running.client_of("rob", "first-word");
    let mut session = rob.session();
    assert_eq!(
        session.query("RETURN 1 AS one").await.unwrap().rows,
        [[Value::Int(1)]]
    );
    let refused = query_error(session.query("INSERT (:A)").await);
    assert_eq!(
        (refused.class, refused.gqlstatus.as_str()),
        (ErrorClass::SecurityError, "42NFF")
    );
    let refused = rob.set_read_only(true).await.unwrap_err();
    assert!(
        refused.to_string().contains("make the database read-only"),
        "{refused}"
    );

    // A user may choose its own password. The old one is worth nothing from then on.
    session
        .query("ALTER USER rob SET PASSWORD 'second-word'")
        .await
        .unwrap();
    running
        .client_of("rob", "second-word")
        .query("RETURN 1 AS one")
        .await
        .unwrap();
    let old = running
        .client_of("rob", "first-word")
        .query("RETURN 1 AS one")
        .await;
    assert!(matches!(old, Err(ClientError::Unauthenticated { .. })), "{old:?}");

    admin.query("DROP USER rob").await.unwrap();
    let gone = query_error(session.query("RETURN 1 AS one").await);
    assert_eq!(
        (gone.detail.as_str(), gone.gqlstatus.as_str()),
        ("UserDropped", "28000")
    );
    running.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_administrator_cannot_lock_everybody_out() {
    let running = start(|_| {}).await;
    let admin = running.client();
    for text in ["DROP USER admin", "ALTER USER admin SET ROLE reader"] {
        let refused = query_error(admin.query(text).await);
        assert_eq!(refused.detail, "LastAdministrator", "{text}");
    }
    running.server.shutdown().await;
}
