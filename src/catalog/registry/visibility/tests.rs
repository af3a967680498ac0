use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::catalog::tool::OfferedTool;

/// Sees everything, and counts how often it is asked.
struct Counting {
    key: String,
    asked: AtomicUsize,
    without: Option<String>,
}

impl Counting {
    fn new(key: &str) -> Self {
        Self { key: key.to_owned(), asked: AtomicUsize::new(0), without: None }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ToolFilter for Counting {
    fn see(&self, _: &Tool) -> Visibility {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Visibility::Auto
    }

    fn key(&self) -> Option<&str> {
        Some(&self.key)
    }

    fn without(&self) -> Option<&str> {
        self.without.as_deref()
    }
}

fn tools(paths: &[&str]) -> Vec<Arc<Tool>> {
    let tool = |path: &&str| {
        let (upstream, name) = path.split_once('.').unwrap();
        Arc::new(
            Tool::admit(
                &upstream.into(),
                OfferedTool { name: name.into(), ..OfferedTool::default() },
            )
            .unwrap(),
        )
    };
    paths.iter().map(tool).collect()
}

#[test]
fn who_sees_the_same_is_asked_about_each_tool_once() {
    let (visibilities, tools) = (VisibilityCache::default(), tools(&["a.x", "a.y", "b.z"]));
    let filter = Counting::new("k");
    for _ in 0..100 {
        assert_eq!(visibilities.of(&tools, &filter).namespaces.len(), 2);
    }
    assert_eq!(filter.asked(), 3);
    let other = Counting::new("other");
    visibilities.of(&tools, &other);
    assert_eq!(other.asked(), 3);
    // One who asks without a key sees for itself.
    let asked = AtomicUsize::new(0);
    let open = |_: &Tool| {
        asked.fetch_add(1, Ordering::Relaxed);
        Visibility::Auto
    };
    visibilities.of(&tools, &open);
    visibilities.of(&tools, &open);
    assert_eq!(asked.load(Ordering::Relaxed), 6);
}

#[test]
fn the_latest_sixty_four_views_are_remembered() {
    let (visibilities, tools) = (VisibilityCache::default(), tools(&["a.x"]));
    let views: Vec<Counting> = (0..=VIEWS_MAX).map(|n| Counting::new(&n.to_string())).collect();
    for filter in &views {
        visibilities.of(&tools, filter);
        // Used again and again, it stays.
        visibilities.of(&tools, &views[0]);
    }
    assert_eq!(visibilities.known.lock().len(), VIEWS_MAX);
    assert_eq!(views[0].asked(), 1);
    visibilities.of(&tools, &views[1]);
    visibilities.of(&tools, &views[VIEWS_MAX]);
    assert_eq!((views[1].asked(), views[VIEWS_MAX].asked()), (2, 1));
}

#[test]
fn a_tool_that_is_left_out_is_hidden_from_this_view_alone() {
    let (visibilities, tools) = (VisibilityCache::default(), tools(&["a.x", "a.y", "b.z"]));
    let whole = Counting::new("k");
    let part = Counting { without: Some("b.z".to_owned()), ..Counting::new("k") };
    let told = |filter: &Counting| {
        let sight = visibilities.of(&tools, filter);
        (
            sight.is_seen(2),
            sight
                .namespaces
                .iter()
                .map(|seen| (seen.name.to_string(), seen.tools))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(told(&part), (false, vec![("a".to_owned(), 2)]));
    assert_eq!(told(&whole), (true, vec![("a".to_owned(), 2), ("b".to_owned(), 1)]));
    assert_eq!((whole.asked(), part.asked()), (0, 3));
    assert_eq!(
        (of(&part, &tools[2]), of(&part, &tools[0])),
        (Visibility::Hidden, Visibility::Auto)
    );
}
