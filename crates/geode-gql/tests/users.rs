//! Users, roles and rights: what is read as what, and that no password is shown.

use geode_gql::ast::Statement;
use geode_gql::{Dialect, parse, to_sexpr};

fn check(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        let parsed = parse(text, Dialect::Gql).map(|statement| to_sexpr(&statement));
        assert_eq!(parsed.as_deref(), Ok(*wanted), "{text}");
    }
}

#[test]
fn users_and_roles_are_created_altered_and_dropped() {
    check(&[
        (
            "CREATE USER ada WITH PASSWORD 'engine' ROLE administrator;",
            "(create-user ada *** role=administrator)",
        ),
        (
            "create user if not exists `a b` with password $p",
            "(create-user if-not-exists a b $p)",
        ),
        ("ALTER USER ada SET PASSWORD \"engine\"", "(set-password ada ***)"),
        ("ALTER USER ada SET ROLE reader", "(set-role ada reader)"),
        ("ALTER USER ada REMOVE ROLE", "(remove-role ada)"),
        ("DROP USER IF EXISTS ada", "(drop-user if-exists ada)"),
        ("CREATE ROLE auditor", "(create-role auditor)"),
        ("DROP ROLE auditor", "(drop-role auditor)"),
    ]);
}

#[test]
fn rights_are_granted_and_revoked_by_graph_and_action() {
    check(&[
        (
            "GRANT SELECT, INSERT, UPDATE ON GRAPH social_network TO app_user;",
            "(grant (SELECT INSERT UPDATE) social_network app_user)",
        ),
        (
            "GRANT ALL PRIVILEGES ON PROPERTY GRAPH /a/g TO r",
            "(grant (SELECT INSERT UPDATE DELETE) /a/g r)",
        ),
        ("REVOKE DELETE ON GRAPH * FROM r", "(revoke (DELETE) * r)"),
        (
            "GRANT SELECT ON GRAPH HOME_GRAPH TO r",
            "(grant (SELECT) HOME_GRAPH r)",
        ),
    ]);
    // A path may still have these names.
    for text in ["CREATE user = (a)-[:T]->(b)", "CREATE role = (a)-[:T]->(b)"] {
        assert!(
            !to_sexpr(&parse(text, Dialect::Gql).unwrap()).contains("create-"),
            "{text}"
        );
    }
}

#[test]
fn what_is_missing_is_said() {
    for (text, wanted) in [
        ("CREATE USER ada", "expected WITH"),
        (
            "CREATE USER ada WITH PASSWORD",
            "a password in quotes, or a parameter",
        ),
        (
            "CREATE USER ada WITH PASSWORD engine",
            "a password in quotes, or a parameter",
        ),
        ("ALTER USER ada", "expected REMOVE or SET"),
        (
            "GRANT READ ON GRAPH g TO r",
            "expected ALL, SELECT, INSERT, UPDATE or DELETE",
        ),
        ("GRANT SELECT ON g TO r", "expected PROPERTY or GRAPH"),
        ("REVOKE SELECT ON GRAPH g TO r", "FROM"),
        ("CREATE POLICY p ON User", "CREATE POLICY is not supported"),
    ] {
        let said = parse(text, Dialect::Gql).unwrap_err().to_string();
        assert!(said.contains(wanted), "{text}: {said}");
    }
}

#[test]
fn neither_the_debug_form_nor_the_redacted_text_has_the_password() {
    for text in [
        "CREATE USER ada WITH PASSWORD 'secret-engine' ROLE reader",
        "ALTER USER ada SET PASSWORD 'secret-engine'",
    ] {
        let Ok(Statement::Users(command)) = parse(text, Dialect::Gql) else {
            panic!("{text} is no command about users")
        };
        let shown = format!("{command:?} {}", command.redacted());
        assert!(
            shown.contains("***") && !shown.contains("secret-engine"),
            "{shown}"
        );
        assert!(command.to_string().contains("secret-engine"), "{command}");
    }
}
