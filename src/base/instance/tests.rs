//! Tests of the instance file, in a temporary folder.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn instance(pid: u32) -> Instance {
    Instance {
        pid,
        url: "http://127.0.0.1:7411".into(),
        token: "hunter2".into(),
        version: "1.2.3".into(),
        config: ConfigIdentity::default(),
        lasting: true,
    }
}

#[test]
fn the_owner_finds_a_running_server_and_others_cannot_read_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let file_path = folder.path().join("a.instance.json");
    let file = instance(std::process::id()).announce(&file_path).unwrap();
    assert_eq!(Instance::find(&file_path).unwrap().as_ref(), Some(file.instance()));
    let mode = fs::metadata(&file_path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{file:?}").contains("hunter2"));
    drop(file);
    assert_eq!(Instance::find(&file_path).unwrap(), None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_folder_that_is_missing_is_made_for_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file_path = folder.path().join("state/a.instance.json");
    let _file = instance(std::process::id()).announce(&file_path).unwrap();
    let mode = fs::metadata(folder.path().join("state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_instance_file_of_a_dead_server_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let file_path = folder.path().join("a.instance.json");
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    std::mem::forget(instance(child.id()).announce(&file_path).unwrap());
    assert_eq!(Instance::find(&file_path).unwrap(), None);
}

#[test]
fn an_instance_file_that_others_can_read_or_a_link_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file_path = folder.path().join("a.instance.json");
    let _file = instance(std::process::id()).announce(&file_path).unwrap();
    fs::set_permissions(&file_path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Instance::find(&file_path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    fs::set_permissions(&file_path, fs::Permissions::from_mode(0o600)).unwrap();
    let other = folder.path().join("b.instance.json");
    std::os::unix::fs::symlink(&file_path, &other).unwrap();
    assert!(Instance::find(&other).is_err());
}

#[test]
fn a_server_does_not_remove_the_instance_file_of_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let file_path = folder.path().join("a.instance.json");
    let old = instance(1).announce(&file_path).unwrap();
    let new = instance(std::process::id()).announce(&file_path).unwrap();
    drop(old);
    assert_eq!(Instance::find(&file_path).unwrap().as_ref(), Some(new.instance()));
}
