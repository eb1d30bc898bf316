//! The differences between two versions of Codex. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Result;

/// Returns the differences between schemas, by file name. Descriptions are ignored.
pub fn of_schemas(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (None, _) => found.push(format!("{name}: new")),
            (_, None) => found.push(format!("{name}: removed")),
            (Some(before), Some(after)) => compare(name, before, after, &mut found),
        }
    }
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys.into_iter().filter(|key| *key != "description") {
                let path = format!("{path}/{key}");
                match (before.get(key), after.get(key)) {
                    (None, _) => found.push(format!("{path}: new")),
                    (_, None) => found.push(format!("{path}: removed")),
                    (Some(before), Some(after)) => compare(&path, before, after, found),
                }
            }
        }
        _ if before == after => {}
        _ => found.push(format!("{path}: {before} became {after}")),
    }
}

/// Returns the differences between recordings: the order of the members, and the results of servers in both.
pub fn of_lines(before: &[&str], after: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let (old, new) = (layouts(before)?, layouts(after)?);
    for layout in new.difference(&old) {
        found.push(format!("a new layout of a line: {layout}"));
    }
    for layout in old.difference(&new) {
        found.push(format!("a layout that no line has any more: {layout}"));
    }
    let (old, new) = (results(before)?, results(after)?);
    for (name, result) in new {
        if let Some(earlier) = old.get(&name)
            && *earlier != result
        {
            found.push(format!("{name}: {earlier} became {result}"));
        }
    }
    Ok(found)
}

/// Returns the members of each line and of its params, in their order.
fn layouts(lines: &[&str]) -> Result<BTreeSet<String>> {
    lines
        .iter()
        .map(|line| {
            let message: Value = serde_json::from_str(line)?;
            let mut members = Vec::new();
            for (object, prefix) in [(&message, ""), (&message["params"], "params.")] {
                let names = object.as_object().ok_or("not an object")?.keys();
                members.extend(names.map(|name| {
                    let at = line.find(&format!("\"{name}\":")).unwrap_or(usize::MAX);
                    (at, format!("{prefix}{name}"))
                }));
            }
            members.sort();
            let members = members.into_iter().map(|(_, member)| member);
            Ok(members.collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// Returns the last state of each server, with the reason.
fn results(lines: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut results = BTreeMap::new();
    for line in lines {
        let params = serde_json::from_str::<Value>(line)?["params"].take();
        let name = params["name"].as_str().ok_or("a line has no name")?;
        let reason = match params["failureReason"].as_str() {
            Some(reason) => format!(" ({reason})"),
            None => String::new(),
        };
        let status = params["status"].as_str().unwrap_or_default();
        results.insert(name.to_owned(), format!("{status}{reason}"));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_added_removed_or_changed_is_listed() {
        let schemas = |schema: Value| BTreeMap::from([("A.json".to_owned(), schema)]);
        let before = schemas(
            json!({"properties": {"a": {"type": "string"}, "b": true, "d": {"description": "x"}}}),
        );
        let after = schemas(
            json!({"properties": {"a": {"type": "integer"}, "c": true, "d": {"description": "y"}}}),
        );
        assert_eq!(
            of_schemas(&before, &after),
            [
                r#"A.json/properties/a/type: "string" became "integer""#,
                "A.json/properties/b: removed",
                "A.json/properties/c: new",
            ]
        );
        assert_eq!(of_schemas(&before, &BTreeMap::new()), ["A.json: removed"]);
        assert_eq!(of_schemas(&BTreeMap::new(), &after), ["A.json: new"]);
    }

    #[test]
    fn a_new_layout_and_another_result_are_listed() {
        let before = [
            r#"{"method":"m","params":{"name":"a","status":"starting","failureReason":null}}"#,
            r#"{"method":"m","params":{"name":"a","status":"ready","failureReason":null}}"#,
        ];
        let after = [
            r#"{"method":"m","params":{"name":"a","new":1,"status":"failed","failureReason":"r"},"at":1}"#,
        ];
        assert_eq!(
            of_lines(&before, &after).unwrap(),
            [
                "a new layout of a line: method params params.name params.new params.status params.failureReason at",
                "a layout that no line has any more: method params params.name params.status params.failureReason",
                "a: ready became failed (r)",
            ]
        );
        assert_eq!(of_lines(&before, &before).unwrap(), Vec::<String>::new());
    }
}
