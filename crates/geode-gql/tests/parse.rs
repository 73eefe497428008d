//! What the parser makes of text, as s-expressions.

use geode_gql::{Dialect, parse, to_sexpr};

fn check(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        let parsed = parse(text, Dialect::Gql).map(|statement| to_sexpr(&statement));
        assert_eq!(parsed.as_deref(), Ok(*wanted), "{text}");
    }
}

#[test]
fn patterns_of_both_languages_give_one_tree() {
    check(&[
        ("MATCH (n) RETURN n", "(match (n)) (return n)"),
        ("match (n:A&B) return n", "(match (n :(& A B))) (return n)"),
        ("MATCH (n:A:B) RETURN n", "(match (n :(& A B))) (return n)"),
        ("MATCH (n IS A|B) RETURN n", "(match (n :(| A B))) (return n)"),
        (
            "MATCH (:!(A|B)&%) FINISH",
            "(match (:(& (! (| A B)) %))) (finish)",
        ),
        (
            "MATCH ()-[:A|:B]->() FINISH",
            "(match ()-[:(| A B)]->()) (finish)",
        ),
        (
            "MATCH (a)-->(b)<--(c)--(d) FINISH",
            "(match (a)-[]->(b)<-[]-(c)-[]-(d)) (finish)",
        ),
        (
            "MATCH (a)->(b)<-(c)-(d) FINISH",
            "(match (a)-[]->(b)<-[]-(c)-[]-(d)) (finish)",
        ),
        (
            "MATCH (a)<-[e]->(b)~[f]~(c) FINISH",
            "(match (a)<-[e]->(b)~[f]~(c)) (finish)",
        ),
        (
            "MATCH p = (a {x: 1} WHERE a.y > 2)-[e:T {z: $z}]->(b), (c) WHERE a = b FINISH",
            "(match p = (a {x: 1} (where (compare (at a .y) > 2)))-[e :T {z: $z}]->(b), (c) (where (compare a = b))) (finish)",
        ),
        (
            "MATCH (a)-[:T*]->(b)-[:T*2]->(c)-[:T*1..3]->(d) FINISH",
            "(match (a)-[:T]->{1,}(b)-[:T]->{2,2}(c)-[:T]->{1,3}(d)) (finish)",
        ),
        (
            "MATCH (a)-[:T]->{1,3}(b)-[:T]->*(c)-[:T]->+(d)-[:T]->?(e) FINISH",
            "(match (a)-[:T]->{1,3}(b)-[:T]->{0,}(c)-[:T]->{1,}(d)-[:T]->{0,1}(e)) (finish)",
        ),
        ("MATCH (`a b`:`C d`) FINISH", "(match (a b :C d)) (finish)"),
    ]);
}

#[test]
fn operators_bind_as_in_opencypher() {
    check(&[
        (
            "RETURN 1 + 2 * 3 ^ 4 - 5",
            "(return (chain 1 + (chain 2 * (chain 3 ^ 4)) - 5))",
        ),
        (
            "RETURN a OR b XOR c AND NOT d",
            "(return (or a (xor b (and c (not d)))))",
        ),
        ("RETURN NOT a = b", "(return (not (compare a = b)))"),
        ("RETURN a < b <= c <> d", "(return (compare a < b <= c <> d))"),
        ("RETURN a = b IS NULL", "(return (compare a = (is-null b)))"),
        (
            "RETURN a + 1 IN [1] AND true",
            "(return (and (in (chain a + 1) [1]) true))",
        ),
        (
            "RETURN x STARTS WITH 'a' OR y ENDS WITH 'b'",
            "(return (or (startswith x \"a\") (endswith y \"b\")))",
        ),
        (
            "RETURN -a ^ 2, -2 ^ 2, - -1",
            "(return (chain (- a) ^ 2) (chain -2 ^ 2) (- -1))",
        ),
        ("RETURN -a.b[0].c, -1.5", "(return (- (at a .b [0] .c)) (- 1.5))"),
        ("RETURN a<-1", "(return (compare a < -1))"),
        (
            "RETURN l[1..2], l[..2], l[1..], l[..]",
            "(return (at l [1..2]) (at l [..2]) (at l [1..]) (at l [..]))",
        ),
        (
            "RETURN a.b IS NOT NULL, a IS NOT LABELED B, c:D&E",
            "(return (is-not-null (at a .b)) (is-not-labeled a B) (is-labeled c (& D E)))",
        ),
        ("RETURN true IS NOT UNKNOWN", "(return (is-not-unknown true))"),
    ]);
}

#[test]
fn literals_of_every_kind() {
    check(&[
        ("RETURN 0xFF, 0o17, 0b11, 1_000", "(return 255 15 3 1000)"),
        ("RETURN -9223372036854775808", "(return -9223372036854775808)"),
        ("RETURN 1.5, .5, 1e3, 2.5E-1", "(return 1.5 0.5 1000.0 0.25)"),
        (
            r#"RETURN 'it''s', "a\"b", '\t\u0041'"#,
            r#"(return "it's" "a\"b" "\tA")"#,
        ),
        ("RETURN X'00 ff'", "(return [00, ff])"),
        (
            "RETURN {}, {a: [1, {b: null}]}, RECORD {a: unknown}",
            "(return {} {a: [1 {b: null}]} {a: null})",
        ),
        (
            "RETURN [], [x IN y], [x IN y WHERE z | w], [x IN y, 1]",
            "(return [] (each x y) (each x y (where z) (yield w)) [(in x y) 1])",
        ),
        ("RETURN /* a */ 1 // b\n, 2", "(return 1 2)"),
    ]);
}

#[test]
fn calls_and_cases() {
    check(&[
        (
            "RETURN count(*), count(DISTINCT x), f(), f(1, 2)",
            "(return (count *) (count distinct x) (f) (f 1 2))",
        ),
        (
            "RETURN CAST(x AS INT), CAST(x AS LIST<INT8 | STRING(3) NOT NULL>), CAST(x AS DECIMAL(5, 2))",
            "(return (cast x INT) (cast x LIST<INT8 | STRING(3) NOT NULL>) (cast x DECIMAL(5, 2)))",
        ),
        (
            "RETURN x IS TYPED ZONED DATETIME, x IS NOT TYPED TIMESTAMP WITHOUT TIME ZONE, x IS :: UINT16",
            "(return (is-typed x ZONED DATETIME) (is-not-typed x LOCAL DATETIME) (is-typed x UINT16))",
        ),
        (
            "RETURN DATE '2015-07-21', INTERVAL '7' DAY, date, date('x'), date.truncate('day', x), 1.50M, 2d",
            "(return (date 2015-07-21) (duration P7D) date (date \"x\") (date.truncate \"day\" x) 1.50m 2.0)",
        ),
        (
            "RETURN TRIM(BOTH 'x' FROM y), TRIM(leading), NORMALIZE(x, NFD), x IS NOT NFC NORMALIZED",
            "(return (trim y \"x\") (TRIM leading) (NORMALIZE x \"NFD\") (is-not-normalized x Nfc))",
        ),
        (
            "RETURN reduce(t = 0, x IN l | t + x)",
            "(return (reduce t 0 x l (chain t + x)))",
        ),
        (
            "RETURN CASE x WHEN 1 THEN 'a' ELSE 'b' END",
            "(return (case x (when 1 \"a\") (else \"b\")))",
        ),
        (
            "RETURN CASE WHEN a THEN b WHEN c THEN end END",
            "(return (case (when a b) (when c end)))",
        ),
        (
            "RETURN all(x IN l WHERE x > 0), ANY (x IN l WHERE x)",
            "(return (all x l (compare x > 0)) (any x l x))",
        ),
    ]);
}

#[test]
fn projections_in_full() {
    check(&[
        (
            "RETURN DISTINCT a AS x, b ORDER BY x DESC NULLS LAST, b ASCENDING OFFSET 1 LIMIT $n",
            "(return distinct (as x a) b (desc x nulls-last) (asc b) (offset 1) (limit $n))",
        ),
        (
            "RETURN *, 1 AS one GROUP BY a, b SKIP 2",
            "(return * (as one 1) (group-by a b) (offset 2))",
        ),
        (
            "MATCH (n) WITH n, count(*) AS c ORDER BY c LIMIT 1 WHERE c > 1 RETURN n",
            "(match (n)) (with n (as c (count *)) (asc c) (limit 1) (where (compare c > 1))) (return n)",
        ),
        (
            "RETURN 1 AS a NEXT RETURN a + 1 AS b",
            "(with (as a 1)) (return (as b (chain a + 1)))",
        ),
        (
            "RETURN 1 AS a UNION ALL RETURN 2 AS a UNION DISTINCT RETURN 3 AS a",
            "(return (as a 1)) (union-all) (return (as a 2)) (union) (return (as a 3))",
        ),
        (
            "SELECT a, b FROM system.t WHERE a > 1 ORDER BY b LIMIT 3",
            "(table system.t) (filter (compare a > 1)) (return a b (asc b) (limit 3))",
        ),
    ]);
}

#[test]
fn reading_and_writing_clauses() {
    check(&[
        (
            "OPTIONAL MATCH (n) FILTER WHERE n.x LET y = 1, z = 2 FINISH",
            "(optional-match (n)) (filter (at n .x)) (let y: 1 z: 2) (finish)",
        ),
        (
            "FOR x IN [1] WITH ORDINALITY i FOR y IN l WITH OFFSET j FINISH",
            "(for x [1] (count i from 1)) (for y l (count j from 0)) (finish)",
        ),
        (
            "UNWIND [1] AS x WITH x RETURN x",
            "(for x [1]) (with x) (return x)",
        ),
        (
            "FOR x IN [1] WITH offset AS o RETURN o",
            "(for x [1]) (with (as o offset)) (return o)",
        ),
        (
            "INSERT (a:A {x: 1})-[:T]->(b), (c)",
            "(insert (a :A {x: 1})-[:T]->(b), (c))",
        ),
        ("CREATE (a $p)", "(insert (a $p))"),
        (
            "MERGE (a)-[:T]->(b) ON CREATE SET a.x = 1 ON MATCH SET a += {y: 2}, b:C",
            "(merge (a)-[:T]->(b) (on-create (= a.x 1)) (on-match (+= a {y: 2})) (on-match (label b :C)))",
        ),
        (
            "MATCH (a) SET a.b.c = 1, (a).d = 2, a = {}, a:B:C, a IS D REMOVE a.x, a:B",
            "(match (a)) (set (= (at a .b).c 1) (= a.d 2) (= a {}) (label a :B:C) (label a :D)) (remove a.x a:B)",
        ),
        (
            "MATCH (a) DETACH DELETE a, a.b NODETACH DELETE a DELETE a",
            "(match (a)) (detach-delete a (at a .b)) (delete a) (delete a)",
        ),
    ]);
}

#[test]
fn transaction_commands() {
    check(&[
        ("START TRANSACTION READ ONLY", "(begin read-only)"),
        ("start transaction read write;", "(begin)"),
        ("BEGIN TRANSACTION", "(begin)"),
        ("BEGIN", "(begin)"),
        ("COMMIT WORK", "(commit)"),
        ("ROLLBACK", "(rollback)"),
    ]);
}

#[test]
fn what_a_tree_says_does_not_depend_on_where_it_stands() {
    let one = parse("RETURN n.age + 1", Dialect::Gql);
    let other = parse("RETURN\n  n . age+1", Dialect::Gql);
    assert_eq!(one, other);
}

#[test]
fn checkpoints_are_statements_and_still_names() {
    check(&[
        ("CREATE CHECKPOINT 'a b';", "(checkpoint \"a b\")"),
        ("drop checkpoint \"x\"", "(drop-checkpoint \"x\")"),
        (
            "CREATE checkpoint = (a)-[:T]->(b)",
            "(insert checkpoint = (a)-[:T]->(b))",
        ),
    ]);
    for text in ["CREATE CHECKPOINT x", "CREATE CHECKPOINT", "DROP CHECKPOINT 5"] {
        assert!(parse(text, Dialect::Gql).is_err(), "{text}");
    }
}

/// The guides write comments so; Cypher writes edges so.
#[test]
fn two_minus_signs_and_a_blank_begin_a_comment_but_not_behind_a_node() {
    check(&[
        ("-- Check it\nRETURN x -- at once\n", "(return x)"),
        ("MATCH (a)-- (b) FINISH", "(match (a)-[]-(b)) (finish)"),
    ]);
    let (one, other) = (
        parse("RETURN 1--1", Dialect::Gql),
        parse("RETURN 1 - -1", Dialect::Gql),
    );
    assert_eq!(one, other);
}
