use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::catalog::tool::OfferedTool;

fn tool(name: &str) -> Arc<Tool> {
    let serde_json::Value::Object(input_schema) =
        json!({"type": "object", "properties": {"a": {"type": "string"}}})
    else {
        unreachable!()
    };
    let offered = OfferedTool {
        fingerprint: Some("f".into()),
        is_relaxed: false,
        former: Some(crate::model::FormerName { name: "before".into(), new_from: 1 }),
        operation: Some(Operation::Get),
        name: name.to_owned(),
        title: Some("A title".to_owned()),
        description: "Does it.".to_owned(),
        output_schema: Some(input_schema.clone()),
        input_schema,
        annotations: Annotations { read_only: Some(true), ..Annotations::default() },
    };
    Arc::new(Tool::admit(&up(), offered).unwrap())
}

fn up() -> Arc<str> {
    Arc::from("up")
}

fn kept() -> (tempfile::TempDir, ToolCache, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let kept = ToolCache::new(folder.path().join("db.catalog"));
    let file = folder.path().join("db.catalog/up.tools");
    (folder, kept, file)
}

fn reason(kept: &ToolCache) -> String {
    kept.load(&up(), "origin").unwrap_err().to_string()
}

#[test]
fn what_is_kept_comes_back_the_same_and_only_the_owner_can_read_it() {
    let (_folder, kept, file) = kept();
    assert!(kept.load(&up(), "origin").unwrap().is_none());
    kept.save("up", "origin", &[tool("one"), tool("two")]).unwrap();
    let tools = kept.load(&up(), "origin").unwrap().unwrap();
    assert_eq!(format!("{tools:?}"), format!("{:?}", [tool("one"), tool("two")]));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_list_over_the_bound_is_neither_kept_nor_taken() {
    let (_folder, mut kept, file) = kept();
    kept.save("up", "origin", &[tool("one")]).unwrap();
    let bytes = fs::metadata(&file).unwrap().len();
    kept.bytes_max = bytes;
    assert!(kept.load(&up(), "origin").unwrap().is_some());
    let refused = kept.save("up", "origin", &[tool("one"), tool("two")]).unwrap_err().to_string();
    assert!(
        refused.starts_with("the tools of `up` take ")
            && refused.ends_with(&format!("kept are at most {bytes}")),
        "{refused}"
    );
    assert_eq!(kept.load(&up(), "origin").unwrap().unwrap().len(), 1, "what was there stays");
    kept.bytes_max = bytes - 1;
    assert!(reason(&kept).ends_with("it is too large"), "{}", reason(&kept));
    assert_eq!(ToolCache::new(PathBuf::new()).bytes_max, 96 * 1024 * 1024);
}

#[test]
fn the_same_list_is_not_written_again() {
    let (_folder, kept, file) = kept();
    kept.save("up", "origin", &[tool("one")]).unwrap();
    let before = fs::metadata(&file).unwrap().ino();
    kept.save("up", "origin", &[tool("one")]).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().ino(), before);
    kept.save("up", "origin", &[tool("other")]).unwrap();
    assert_eq!(kept.load(&up(), "origin").unwrap().unwrap()[0].name, "other");
}

#[test]
fn a_file_that_is_damaged_cut_of_another_version_or_of_another_upstream_is_not_used() {
    let (_folder, kept, file) = kept();
    kept.save("up", "origin", &[tool("one")]).unwrap();
    assert!(
        kept.load(&up(), "another address")
            .unwrap_err()
            .to_string()
            .contains("configured otherwise")
    );
    let whole = fs::read(&file).unwrap();
    for at in [0, 20, 60, 100, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).unwrap();
        assert!(reason(&kept).contains("is not used"), "byte {at}");
    }
    for length in [0, 1, 50, 120, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        assert!(reason(&kept).contains("is not used"), "{length} bytes");
    }
    for (name, input, why) in
        [("a..b", "{}", "a tool in it is not allowed"), ("a", "7", "a schema in it is not valid")]
    {
        let arguments = r#"{"names":"","values":""}"#;
        let tool = format!(
            r#"{{"name":"{name}","description":"","input":{input},"arguments":{arguments},"annotations":{{}},"hash":""}}"#
        );
        let body = format!(r#"{{"upstream":"up","origin":"origin","tools":[{tool}]}}"#);
        fs::write(&file, [head(body.as_bytes()).as_bytes(), body.as_bytes()].concat()).unwrap();
        assert!(reason(&kept).contains(why), "{}", reason(&kept));
    }
    fs::write(&file, &whole).unwrap();
    assert!(kept.load(&up(), "origin").unwrap().is_some());
}

#[test]
fn a_file_that_others_may_write_or_that_is_a_link_is_not_used() {
    let (folder, kept, file) = kept();
    kept.save("up", "origin", &[tool("one")]).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
    assert!(reason(&kept).contains("others than the owner"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert!(reason(&kept).contains("cannot be used"));
}

#[test]
fn leftovers_are_swept_and_what_is_not_ours_stays() {
    let (_folder, kept, file) = kept();
    kept.save("up", "origin", &[tool("one")]).unwrap();
    kept.save("gone", "origin", &[tool("one")]).unwrap();
    let folder = file.parent().unwrap();
    fs::write(folder.join("up.new"), "").unwrap();
    fs::write(folder.join("notes.txt"), "").unwrap();
    kept.sweep(&[up()]);
    let mut left: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["notes.txt", "up.tools"]);
}
