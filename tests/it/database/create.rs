//! Creating a database.

use terraform_provider_convex::database::{DatabaseError, Part, Presence};

use super::{database, look_as, prepare, role, shared};

#[tokio::test]
async fn a_missing_database_is_created_if_that_is_allowed() {
    let server = shared();
    let url = role(&server, "maker", "CREATEDB");
    let forbidden = database(&url, |_| ());
    let allowed = database(&url, |settings| settings.create = Some(true));
    for outcome in [
        look_as(&forbidden, "made-app").await,
        prepare(&forbidden, "made-app").await,
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, DatabaseError::Missing { .. }), "{error:?}");
        assert_eq!(error.part(), Part::Database);
        assert!(error.remedy().contains("CREATE DATABASE \"made_app\""));
    }
    let exists = || {
        server.sql(
            "postgres",
            "SELECT 1 FROM pg_database WHERE datname = 'made_app'",
        )
    };
    let found = look_as(&allowed, "made-app").await.unwrap();
    assert_eq!((found.presence, found.contents), (Presence::Missing, None));
    assert_eq!(exists(), "", "looking has changed something");

    let found = prepare(&allowed, "made-app").await.unwrap();
    assert_eq!(found.presence, Presence::Created);
    assert!(!found.contents.unwrap().has_data);
    assert_eq!(exists(), "1\n");
    for again in [
        prepare(&allowed, "made-app").await.unwrap(),
        look_as(&allowed, "made-app").await.unwrap(),
    ] {
        assert_eq!(again.presence, Presence::Existing);
    }
}

#[tokio::test]
async fn who_may_not_create_is_told_so() {
    let server = shared();
    let url = role(&server, "humble", "");
    let humble = database(&url, |settings| settings.create = Some(true));
    for outcome in [
        look_as(&humble, "humble-app").await,
        prepare(&humble, "humble-app").await,
    ] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, DatabaseError::MayNotCreate { .. }),
            "{error:?}"
        );
        assert_eq!(error.part(), Part::User);
        assert!(error.remedy().contains("ALTER ROLE \"humble\" CREATEDB"));
    }
    // The remedy is one.
    server.sql("postgres", "ALTER ROLE \"humble\" CREATEDB");
    prepare(&humble, "humble-app").await.unwrap();
}

#[tokio::test]
async fn creators_at_the_same_time_do_not_disturb_each_other() {
    let server = shared();
    let url = role(&server, "crowd", "CREATEDB");
    let allowed = database(&url, |settings| settings.create = Some(true));
    for round in 0..3 {
        let name = format!("crowd-{round}");
        let all = (0..8).map(|_| prepare(&allowed, &name));
        let found = futures_util::future::join_all(all).await;
        let created = found
            .into_iter()
            .map(|found| found.unwrap().presence)
            .filter(|presence| *presence == Presence::Created)
            .count();
        assert_eq!(created, 1);
    }
    // Different ones from one template at the same time.
    let names: Vec<String> = (0..6).map(|number| format!("herd-{number}")).collect();
    let all = names.iter().map(|name| prepare(&allowed, name));
    for found in futures_util::future::join_all(all).await {
        assert_eq!(found.unwrap().presence, Presence::Created);
    }
}

#[tokio::test]
async fn names_that_are_words_of_sql_are_good_names() {
    let server = shared();
    let url = role(&server, "wordy", "CREATEDB");
    let allowed = database(&url, |settings| settings.create = Some(true));
    let long = format!("a{}", "-b".repeat(31));
    for name in ["user", "select", "a-1", long.as_str()] {
        assert_eq!(
            prepare(&allowed, name).await.unwrap().presence,
            Presence::Created,
            "{name}"
        );
        assert_eq!(
            look_as(&allowed, name).await.unwrap().presence,
            Presence::Existing,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_database_in_the_url_is_a_way_in() {
    let server = crate::support::postgres::Server::with("ssl = off");
    server.create_database("given");
    let url = role(&server, "guest", "CREATEDB");
    server.rules("host postgres,template1 guest all reject");
    let allowed = |url: &str| database(url, |settings| settings.create = Some(true));
    let error = prepare(&allowed(&url), "guest-app").await.unwrap_err();
    let DatabaseError::NoWayToCreate { tried, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(tried, &["postgres", "template1"]);
    assert!(error.to_string().contains("postgres, template1"), "{error}");
    let with_name = url.replace('?', "/given?");
    let found = prepare(&allowed(&with_name), "guest-app").await.unwrap();
    assert_eq!(found.presence, Presence::Created);
}
