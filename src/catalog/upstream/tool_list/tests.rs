use super::*;

#[test]
fn a_list_is_read_again_after_twenty_times_as_long_as_it_took() {
    assert_eq!(relist_pause(Duration::ZERO), Duration::from_millis(250));
    assert_eq!(relist_pause(Duration::from_millis(10)), Duration::from_millis(250));
    assert_eq!(relist_pause(Duration::from_millis(400)), Duration::from_secs(8));
    assert_eq!(relist_pause(Duration::from_secs(3)), Duration::from_secs(60));
    assert_eq!(relist_pause(Duration::MAX), Duration::from_secs(60));
}
