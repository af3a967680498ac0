use super::*;

fn sort(text: &str) -> AddressClass {
    sort_of(text.parse().unwrap())
}

#[test]
fn an_address_of_the_internet_is_public_in_every_form() {
    for public in [
        "1.1.1.1",
        "93.184.215.14",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.0",
        "2606:4700::1111",
        "2a00::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2002:0101:0101::",
    ] {
        assert_eq!(sort(public), AddressClass::Public, "{public}");
    }
}

#[test]
fn private_and_loopback_addresses_need_the_owners_word_in_every_form() {
    for private in [
        "127.0.0.1",
        "127.255.255.255",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "198.18.0.1",
        "::1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:192.168.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::192.168.0.1",
        "64:ff9b:1::1.1.1.1",
        "2002:7f00:0001::",
        "2002:0a00:0001::1",
    ] {
        assert!(
            matches!(sort(private), AddressClass::Private(_)),
            "{private}: {:?}",
            sort(private)
        );
    }
}

#[test]
fn metadata_link_local_and_reserved_addresses_are_never_reached_in_any_form() {
    for never in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "203.0.113.9",
        "::",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "2001:db8::1",
        "2001::1",
        "100::1",
        "4000::1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::",
    ] {
        assert!(matches!(sort(never), AddressClass::Never(_)), "{never}: {:?}", sort(never));
    }
}
