use super::*;

fn vault(folder: &Path) -> Vault {
    Vault::new(folder.join("airlock.db.secrets"), VaultKey::File(folder.join("keys/secrets.key")))
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("airlock.db.secrets")).unwrap()
}

#[test]
fn a_secret_is_kept_sealed_and_opens_with_its_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    vault.set("GITHUB", "tok-123456").unwrap();
    vault.set("GITHUB", "tok-654321").unwrap();
    vault.set("oauth:linear", "{}").unwrap();
    assert_eq!(vault.get("GITHUB").unwrap(), "tok-654321");
    assert!(!text(folder.path()).contains("tok-"), "{}", text(folder.path()));
    assert_eq!(
        vault.list().unwrap().into_iter().map(|kept| kept.name).collect::<Vec<_>>(),
        ["GITHUB", "oauth:linear"]
    );
    for file in ["airlock.db.secrets", "keys/secrets.key"] {
        assert_eq!(
            fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777,
            0o600,
            "{file}"
        );
    }
    vault.remove("GITHUB").unwrap();
    assert!(matches!(vault.get("GITHUB"), Err(VaultError::Absent(_))));
    assert!(matches!(vault.remove("GITHUB"), Err(VaultError::Absent(_))));

    let other =
        VaultKey::Given { variable: "KEY".to_owned(), value: STANDARD.encode([7; KEY_BYTES]) };
    let other = Vault::new(folder.path().join("airlock.db.secrets"), other);
    assert!(matches!(other.get("oauth:linear"), Err(VaultError::Sealed(_))));
}

#[test]
fn a_value_moved_under_another_name_or_changed_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    vault.set("A", "tok-123456").unwrap();
    let file = folder.path().join("airlock.db.secrets");
    let honest = text(folder.path());
    fs::write(&file, honest.replace("\"A\"", "\"B\"")).unwrap();
    assert!(matches!(vault.get("B"), Err(VaultError::Sealed(_))));
    let at = honest.find("sealed\":\"").unwrap() + 9;
    let flipped = if honest.as_bytes()[at] == b'A' { "B" } else { "A" };
    fs::write(&file, format!("{}{flipped}{}", &honest[..at], &honest[at + 1..])).unwrap();
    assert!(matches!(vault.get("A"), Err(VaultError::Sealed(_))));
    fs::write(&file, honest.replace("\"version\":1", "\"version\":2")).unwrap();
    assert!(matches!(vault.get("A"), Err(VaultError::Malformed(_))));
}

#[test]
fn a_key_that_is_gone_open_to_others_or_no_key_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    vault.set("A", "tok-123456").unwrap();
    let key = folder.path().join("keys/secrets.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(vault.get("A"), Err(VaultError::KeyIsOpen(_))));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "short").unwrap();
    assert!(matches!(vault.get("A"), Err(VaultError::BadKey(_))));
    fs::remove_file(&key).unwrap();
    assert!(matches!(vault.get("A"), Err(VaultError::KeyIsMissing(_))));
    // A new key would make the old values unreadable for good.
    assert!(matches!(vault.set("B", "x"), Err(VaultError::KeyIsMissing(_))));
    assert!(!key.exists());
}

#[test]
fn names_values_and_numbers_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    for bad in ["", "a b", "a/b", "é", &"n".repeat(129)] {
        assert!(matches!(vault.set(bad, "x"), Err(VaultError::Name(_))), "{bad:?}");
    }
    assert!(matches!(vault.set("A", ""), Err(VaultError::Value(0))));
    assert!(matches!(vault.set("A", &"x".repeat(VALUE_BYTES_MAX + 1)), Err(VaultError::Value(_))));
    assert!(!folder.path().join("airlock.db.secrets").exists());
    vault.set("first", "x").unwrap();
    vault
        .change(|sheet| {
            for number in 1..ENTRIES_MAX {
                let entry = Sealed {
                    nonce: String::new(),
                    sealed: String::new(),
                    changed: Timestamp::UNIX_EPOCH,
                };
                sheet.secrets.insert(format!("n{number}"), entry);
            }
            Ok(())
        })
        .unwrap();
    assert!(matches!(vault.set("more", "x"), Err(VaultError::Full)));
    vault.set("first", "y").unwrap();
    assert_eq!(vault.get("first").unwrap(), "y");
}

#[test]
fn writers_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    vault.set("first", "x").unwrap();
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let vault = vault.clone();
            std::thread::spawn(move || vault.set(&format!("n{number}"), "x").unwrap())
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(vault.list().unwrap().len(), 9);
}

#[test]
fn a_name_that_is_to_be_free_goes_to_one_writer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(folder.path());
    vault.set("first", "x").unwrap();
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let vault = vault.clone();
            std::thread::spawn(move || vault.set_if_absent("n", &format!("v{number}")).unwrap())
        })
        .collect();
    let set: Vec<bool> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    let winner = set.iter().position(|set| *set).unwrap();
    assert_eq!(set.iter().filter(|set| **set).count(), 1, "{set:?}");
    assert_eq!(vault.get("n").unwrap(), format!("v{winner}"));
    assert!(!vault.set_if_absent("first", "y").unwrap());
    assert_eq!(vault.get("first").unwrap(), "x");
}
