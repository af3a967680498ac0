use super::*;
use crate::model::{is_reserved_namespace, reserved_namespaces};

#[test]
fn every_id_has_a_row_in_the_table() {
    use ArtifactFunction::{Json, Lines, List, Read, Remove, Search};
    use DiscoveryFunction::{Describe, Discover, Namespaces, Tools};
    let discovery = [Discover, Namespaces, Tools, Describe].map(HostFunctionId::Discovery);
    let artifacts = [Read, Lines, Search, Json, List, Remove].map(HostFunctionId::Artifacts);
    let all: Vec<HostFunctionId> = discovery.into_iter().chain(artifacts).collect();
    let table: Vec<HostFunctionId> = HOST_FUNCTIONS.iter().map(|function| function.id).collect();
    assert_eq!(table, all);
    assert!(all.iter().all(|id| HostFunction::of(*id).id == *id));
}

#[test]
fn reserved_names_are_those_of_the_table_and_then() {
    assert_eq!(reserved_namespaces(), ["discover", "catalog", "describe", "artifacts", "then"]);
    assert!(is_reserved_namespace("Discover") && !is_reserved_namespace("discovery"));
}

#[test]
fn a_plain_argument_and_an_example_name_fields_of_the_arguments() {
    for function in &HOST_FUNCTIONS {
        let schema = (function.arguments)();
        let has = |field: &str| schema["properties"].get(field).is_some();
        let named = function.example.trim_matches(['{', '}']).split(", ");
        for field in named.filter_map(|pair| pair.trim().split(':').next()) {
            assert!(has(field), "`{}` has no `{field}`", function.path);
        }
        assert!(function.plain_argument.is_none_or(|plain| has(plain.field)), "{}", function.path);
        assert!(function.example.is_ascii());
    }
}
