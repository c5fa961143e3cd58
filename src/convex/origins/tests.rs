use proptest::prelude::*;

use super::*;

#[test]
fn http_to_another_machine_is_in_the_open() {
    for (origin, is_open) in [
        ("http://api.example.com", true),
        ("http://10.0.0.1:3210", true),
        ("https://api.example.com", false),
        ("http://localhost:3210", false),
        ("http://127.0.0.1:3210", false),
        ("http://[::1]:3210", false),
    ] {
        let origin = ApiOrigin::parse(origin).unwrap();
        assert_eq!(origin.is_in_the_open(), is_open, "{origin}");
    }
}

#[test]
fn a_local_origin_is_spelled_as_anybody_would_have_to() {
    for (port, text) in [(80, "http://localhost"), (4210, "http://localhost:4210")] {
        assert_eq!(ApiOrigin::local(port).as_str(), text);
        assert_eq!(ApiOrigin::parse(text), Ok(ApiOrigin::local(port)));
    }
}

fn origins(api: &str, site: &str, dashboard: &str) -> Origins {
    Origins {
        api: ApiOrigin::parse(api).unwrap(),
        site: SiteOrigin::parse(site).unwrap(),
        dashboard: DashboardOrigin::parse(dashboard).unwrap(),
    }
}

#[test]
fn each_service_has_an_origin_of_its_own() {
    let (a, b, c) = (
        "https://a.example",
        "https://b.example",
        "https://c.example",
    );
    for (origins, conflict) in [
        (origins(a, b, c), None),
        (origins(a, "https://a.example/http", c), None),
        (origins(a, "https://c.example/http", c), None),
        (origins(a, a, c), Some(OriginConflict::SiteIsApi)),
        (origins(a, b, a), Some(OriginConflict::DashboardIsApi)),
        (origins(a, b, b), Some(OriginConflict::DashboardIsSite)),
    ] {
        assert_eq!(origins.conflict(), conflict, "{origins:?}");
    }
    assert_eq!(OriginConflict::among(None, None, None), None);
    assert_eq!(Origins::default().conflict(), None);
}

#[test]
fn origins_that_cannot_work_together_are_warned_of() {
    let (public, local) = ("https://a.example", "http://localhost:3211");
    let plain = "http://a.example";
    for (origins, warnings) in [
        (
            origins(public, "https://b.example", "https://c.example"),
            vec![],
        ),
        (
            origins("http://localhost:3210", local, "https://c.example"),
            vec![],
        ),
        (
            origins(plain, "http://b.example", "https://c.example"),
            vec![OriginWarning::MixedContent],
        ),
        (
            origins(plain, "http://b.example", "http://c.example"),
            vec![],
        ),
        (
            origins(public, local, "https://c.example"),
            vec![OriginWarning::SiteIsLocal],
        ),
        (
            origins("http://127.0.0.1:1", local, "http://localhost:3"),
            vec![],
        ),
    ] {
        assert_eq!(origins.warnings(), warnings, "{origins:?}");
    }
}

#[test]
fn good_origins_keep_their_spelling() {
    for text in [
        "http://localhost:3210",
        "https://convex-api--dev--ann.apps.example.com",
        "https://example.com:8443",
        "http://127.0.0.1:3210",
        "http://[::1]:3210",
        "https://xn--hros-dpa.example",
        "http://example.com:443",
    ] {
        assert_eq!(ApiOrigin::parse(text).unwrap().as_str(), text);
        assert_eq!(SiteOrigin::parse(text).unwrap().as_str(), text);
        assert_eq!(DashboardOrigin::parse(text).unwrap().to_string(), text);
    }
    let site = "https://api.example.com/http";
    assert_eq!(SiteOrigin::parse(site).unwrap().as_str(), site);
}

#[test]
fn each_fault_of_an_api_origin_has_its_remedy() {
    let cases = [
        (
            "https://a.example/",
            "ends with a slash",
            "`https://a.example`",
        ),
        (
            "https://a.example//",
            "ends with a slash",
            "`https://a.example`",
        ),
        ("https://a.example?", "query", "`https://a.example`"),
        ("https://a.example/?x=1", "query", "`https://a.example`"),
        ("https://a.example#x", "fragment", "`https://a.example`"),
        (
            "https://a.example/http",
            "has a path",
            "`https://a.example`",
        ),
        (
            "https://a.example/http/",
            "has a path",
            "`https://a.example`",
        ),
        ("a.example", "no scheme", "`https://a.example`"),
        ("localhost:3210", "no scheme", "`http://localhost:3210`"),
        ("localhost:3210/", "no scheme", "`http://localhost:3210`"),
        (
            "a.example:x",
            "no scheme",
            "`http://` or `https://` in front",
        ),
        ("ws://a.example", "scheme `ws`", "`http` or `https`"),
        ("https://", "not a URL", "scheme and host"),
        ("https://a.example:99999", "not a URL", "scheme and host"),
        (" https://a.example", "blanks", "Remove"),
        ("https://a.ex\nample", "blanks", "Remove"),
        ("https://*.a.example", "contains `*`", "this one deployment"),
        (
            "https://A.example",
            "spelled otherwise",
            "`https://a.example`",
        ),
        (
            "HTTPS://a.example",
            "spelled otherwise",
            "`https://a.example`",
        ),
        (
            "https://a.example:443",
            "spelled otherwise",
            "`https://a.example`",
        ),
        (
            "http://a.example:80",
            "spelled otherwise",
            "`http://a.example`",
        ),
        (
            "https://a.example:08443",
            "spelled otherwise",
            "`https://a.example:8443`",
        ),
        (
            "https://héros.example",
            "spelled otherwise",
            "`https://xn--hros-bpa.example`",
        ),
        (
            "http://0x7f.1:3210",
            "spelled otherwise",
            "`http://127.0.0.1:3210`",
        ),
        ("", "empty", "scheme and host"),
    ];
    for (text, fault, fix) in cases {
        let message = ApiOrigin::parse(text).unwrap_err().to_string();
        assert!(
            message.contains(fault) && message.contains(fix),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn a_site_origin_keeps_its_path_in_the_remedy() {
    let cases = [
        ("https://a.example/http/", "https://a.example/http"),
        ("https://A.example/http", "https://a.example/http"),
        ("https://a.example/x/../http", "https://a.example/http"),
        ("https://a.example/http?x", "https://a.example/http"),
        ("a.example/http", "https://a.example/http"),
    ];
    for (text, fixed) in cases {
        let message = SiteOrigin::parse(text).unwrap_err().to_string();
        assert!(
            message.contains(&format!("`{fixed}`")),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn no_message_shows_user_information() {
    for text in [
        "https://ann:hunter2@a.example/x?y#z",
        "ann:hunter2@a.example",
        "https://ann:hunter2@",
        "https://hunter2@A.example/",
        "hunter2://ann@a.example:x",
    ] {
        let error = ApiOrigin::parse(text).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{text}: {error}"
        );
    }
}

#[test]
fn the_default_is_this_very_host_and_would_be_taken() {
    let Origins {
        api,
        site,
        dashboard,
    } = Origins::default();
    assert_eq!(ApiOrigin::parse(api.as_str()).unwrap(), api);
    assert_eq!(SiteOrigin::parse(site.as_str()).unwrap(), site);
    assert_eq!(
        DashboardOrigin::parse(dashboard.as_str()).unwrap(),
        dashboard
    );
}

proptest! {
    #[test]
    fn every_suggested_spelling_would_be_taken(text in "(https?://)?[a-zA-Z0-9.]{1,8}(:[0-9]{1,5})?[/?#a-zA-Z0-9]{0,6}") {
        let Err(
            OriginError::NoScheme { fixed: Some(fixed) }
            | OriginError::Fragment { fixed }
            | OriginError::Query { fixed }
            | OriginError::TrailingSlash { fixed }
            | OriginError::OtherSpelling { fixed },
        ) = SiteOrigin::parse(&text)
        else {
            return Ok(());
        };
        prop_assert!(SiteOrigin::parse(&fixed).is_ok(), "{} {}", text, fixed);
    }

    #[test]
    fn a_taken_origin_is_what_a_browser_sends(text in "https?://[a-zA-Z0-9.:-]{1,12}") {
        if let Ok(origin) = ApiOrigin::parse(&text) {
            let url = Url::parse(origin.as_str()).unwrap();
            prop_assert_eq!(url.origin().ascii_serialization(), text);
        }
    }
}
