use super::*;

/// Feeds the lines to a shell on an empty graph and returns its answers.
fn answers(lines: &[&str]) -> Vec<Json> {
    let mut output = Vec::new();
    let input = lines.join("\n");
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async {
            serve(&mut Engine::ephemeral(), input.as_bytes(), &mut output)
                .await
                .unwrap();
        });
    String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn hello_reset_query_and_close_are_answered_in_their_order() {
    let answers = answers(&[
        r#"{"op":"hello"}"#,
        r#"{"op":"query","text":"INSERT (:Person {name: $name})","params":{"name":"Ada"}}"#,
        r#"{"op":"query","text":"MATCH (p:Person) RETURN p.name AS name"}"#,
        r#"{"op":"reset"}"#,
        r#"{"op":"query","text":"MATCH (p:Person) RETURN p.name AS name"}"#,
        r#"{"op":"close"}"#,
        r#"{"op":"hello"}"#,
    ]);
    assert_eq!(
        answers[0],
        json!({"name": "geode", "version": env!("CARGO_PKG_VERSION")})
    );
    assert_eq!(answers[1]["columns"], json!([]));
    assert_eq!(answers[1]["stats"]["nodes_created"], 1);
    assert!(
        answers[1]["lsn"].as_str().unwrap().starts_with("0/"),
        "{}",
        answers[1]
    );
    assert_eq!(
        answers[2],
        json!({"columns": ["name"], "rows": [["Ada"]], "stats": {}})
    );
    assert_eq!(answers[3], json!({"ok": true}));
    assert_eq!(answers[4]["rows"], json!([]));
    assert_eq!(answers[5], json!({"ok": true}));
    assert_eq!(answers.len(), 6, "nothing is answered after close");
}

#[test]
fn a_malformed_line_is_answered_with_an_error_and_the_next_one_is_read() {
    for bad in [
        "nonsense",
        "{}",
        r#"{"op":"dance"}"#,
        r#"{"op":"query"}"#,
        r#"{"op":"query","text":"RETURN 1","parms":{}}"#,
        r#"{"op":"query","text":"RETURN $a AS a","params":{"a":{"$nonsense":1}}}"#,
        "[1,2",
    ] {
        let answers = answers(&[bad, "", r#"{"op":"hello"}"#]);
        assert_eq!(answers.len(), 2, "{bad}");
        assert_eq!(answers[0]["error"]["class"], "ArgumentError", "{bad}");
        assert_eq!(answers[1]["name"], "geode", "{bad}");
    }
}

#[test]
fn an_error_of_a_statement_has_its_class_phase_detail_and_place() {
    let answers = answers(&[r#"{"op":"query","text":"MATCH (n:Person RETURN n"}"#]);
    let error = &answers[0]["error"];
    assert_eq!(
        (error["class"].as_str(), error["phase"].as_str()),
        (Some("SyntaxError"), Some("compile time"))
    );
    assert!(error["gqlstatus"].as_str().unwrap().starts_with("42"), "{error}");
    assert_eq!(error["position"]["line"], 1);
    assert!(error["message"].is_string() && error["detail"].is_string());
}

#[test]
fn values_keep_their_kinds_on_the_way_in_and_out() {
    let params = r#"{"i":5,"f":5.0,"nan":{"$float":"NaN"},"l":[1,null,true],"m":{"a":{"b":"c"}},"d":{"$map":[["$k",1]]}}"#;
    let line = format!(
        r#"{{"op":"query","text":"RETURN $i AS i, $f AS f, $nan AS nan, $l AS l, $m AS m, $d AS d","params":{params}}}"#
    );
    let answers = answers(&[&line]);
    let row = &answers[0]["rows"][0];
    assert_eq!(
        row.to_string(),
        r#"[5,5.0,{"$float":"NaN"},[1,null,true],{"a":{"b":"c"}},{"$map":[["$k",1]]}]"#
    );
}

#[test]
fn a_transaction_spans_lines_and_rolls_back() {
    let answers = answers(&[
        r#"{"op":"query","text":"START TRANSACTION"}"#,
        r#"{"op":"query","text":"INSERT (:T)"}"#,
        r#"{"op":"query","text":"ROLLBACK"}"#,
        r#"{"op":"query","text":"MATCH (t:T) RETURN count(*) AS n"}"#,
        r#"{"op":"query","text":"COMMIT"}"#,
    ]);
    assert_eq!(answers[3]["rows"], json!([[0]]));
    assert!(
        answers[4]["error"]["gqlstatus"]
            .as_str()
            .unwrap()
            .starts_with("2D"),
        "{}",
        answers[4]
    );
}
