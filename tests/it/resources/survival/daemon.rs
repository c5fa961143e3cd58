//! A daemon that dies, or says nothing any more, while a deployment is made or
//! changed, and one that has no room.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use super::{super::project, objects, one_of_each};
use crate::support::{
    docker::{Fate, Name, Proxy},
    driver::{Block, Driver, deployment},
    terraform::Core,
};

/// Every which call the daemon dies at.
const STRIDE: usize = 5;

fn blocks(name: &Name, origin: &str) -> Vec<Block> {
    // On internal origins another one would not be another container.
    let arguments = json!({ "origins": { "api": origin }, "internal_origins": false });
    let variables = json!({ "deployment": name.as_str(), "variables": { "ORIGIN": origin } });
    vec![
        deployment(name, arguments),
        Block::new("convex_env", "app", variables),
    ]
}

/// Applies with a daemon that dies at call `at`. Returns whether it came that
/// far.
fn apply_and_die(driver: &mut Driver, proxy: &Proxy, blocks: &[Block], at: usize) -> bool {
    let plan = driver.plan(blocks);
    let died = Arc::new(AtomicBool::new(false));
    proxy.take();
    proxy.disturb({
        let died = Arc::clone(&died);
        move |number, _| {
            if number == at {
                died.store(true, Ordering::SeqCst);
                return Fate::Die;
            }
            Fate::Pass
        }
    });
    let outcome = driver.try_to_apply(plan);
    proxy.calm();
    if !died.load(Ordering::SeqCst) {
        assert_eq!(outcome, Ok(()));
        return false;
    }
    proxy.revive();
    let calls = proxy.take();
    if let Err(errors) = outcome {
        let [error] = &errors[..] else {
            panic!("not one error: {errors:#?}");
        };
        let about = format!("at call {at} ({:?}): {error}", calls.get(at));
        assert!(error.contains(&proxy.host()), "no address {about}");
        assert!(error.contains("docker.host"), "no remedy {about}");
    }
    true
}

#[test]
fn a_daemon_that_dies_in_mid_apply_is_one_error_and_nothing_is_forgotten() {
    let name = Name::new();
    let proxy = Proxy::start();
    let (first, second) = ("https://first.example.com", "https://second.example.com");
    let mut points = 0;
    for at in (1..).step_by(STRIDE) {
        let mut driver = Driver::new(&proxy.host());
        let made = blocks(&name, first);
        let reached = apply_and_die(&mut driver, &proxy, &made, at);
        driver.apply(&made);
        driver.assert_no_changes(&made);
        assert_eq!(objects(&name), one_of_each(&name), "after call {at}");
        let key = driver.text("convex_deployment.app", "admin_key");

        let changed = blocks(&name, second);
        let reached_too = apply_and_die(&mut driver, &proxy, &changed, at);
        driver.apply(&changed);
        driver.assert_no_changes(&changed);
        assert_eq!(objects(&name), one_of_each(&name), "after call {at}");
        assert_eq!(driver.text("convex_deployment.app", "admin_key"), key);

        driver.apply(&[]);
        assert_eq!(objects(&name), Vec::<String>::new());
        points += usize::from(reached) + usize::from(reached_too);
        if !reached && !reached_too {
            break;
        }
    }
    assert!(points > 8, "only {points} points");
    println!("measured: a daemon died at {points} points of create and update");
}

#[test]
fn a_daemon_that_says_nothing_any_more_is_named_when_the_time_is_over() {
    let name = Name::new();
    let proxy = Proxy::start();
    for at in [0, 6, 14, 22] {
        let mut driver = Driver::new(&proxy.host());
        let mut limited = blocks(&name, "https://first.example.com");
        limited[0].arguments["timeouts"] = json!({ "create": "12s" });
        let plan = driver.plan(&limited);
        proxy.take();
        proxy.disturb(move |number, _| if number < at { Fate::Pass } else { Fate::Hang });
        let outcome = driver.try_to_apply(plan);
        proxy.calm();
        let errors = outcome.expect_err("nothing answers");
        let [error] = &errors[..] else {
            panic!("not one error: {errors:#?}");
        };
        let calls = proxy.take();
        let about = format!("at call {at} ({:?}): {error}", calls.get(at));
        assert!(error.contains(&proxy.host()), "no address {about}");
        assert!(error.contains("timeouts"), "no remedy {about}");

        let made = blocks(&name, "https://first.example.com");
        driver.apply(&made);
        driver.assert_no_changes(&made);
        assert_eq!(objects(&name), one_of_each(&name), "after call {at}");
        driver.apply(&[]);
        assert_eq!(objects(&name), Vec::<String>::new());
    }
}

/// The same as a person sees it.
#[test]
fn terraform_shows_one_error_when_the_daemon_dies_and_goes_on_when_it_is_back() {
    let name = Name::new();
    let proxy = Proxy::start();
    let mut project = project(Core::Installed, &name, "");
    project.set_env("DOCKER_HOST", &proxy.host());
    proxy.take();
    // Past the point from which something exists.
    proxy.disturb(|number, _| if number == 12 { Fate::Die } else { Fate::Pass });
    let said = project.apply().fails_with(&["docker.host", &proxy.host()]);
    assert_eq!(said.text().matches("Error: ").count(), 1, "{}", said.text());
    proxy.calm();
    proxy.revive();
    assert_eq!(
        project.state("convex_deployment.app")["name"],
        name.as_str()
    );
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(objects(&name), one_of_each(&name));
    project.destroy().ok();
    assert_eq!(objects(&name), Vec::<String>::new());
}

#[test]
fn what_the_daemon_has_no_room_for_is_named_with_what_to_do() {
    let name = Name::new();
    let proxy = Proxy::start();
    let (network, volume) = ("/networks/create", "/volumes/create");
    let cases: [(_, _, &[&str]); 4] = [
        (
            network,
            "all predefined address pools have been fully subnetted",
            &[
                "no addresses left",
                "docker network prune",
                "network.container",
            ],
        ),
        (
            network,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            &["no addresses left"],
        ),
        (
            volume,
            "mkdir /var/lib/docker/volumes/x: no space left on device",
            &["disk is full", "docker system df"],
        ),
        (
            volume,
            "mkdir /var/lib/docker/volumes/x: disk quota exceeded",
            &["disk is full"],
        ),
    ];
    for (path, message, texts) in cases {
        let mut driver = Driver::new(&proxy.host());
        let made = blocks(&name, "https://first.example.com");
        let plan = driver.plan(&made);
        proxy.disturb(move |_, call| {
            if call.path.ends_with(path) {
                return Fate::Answer(500, message);
            }
            Fate::Pass
        });
        let errors = driver.try_to_apply(plan).expect_err("there is no room");
        proxy.calm();
        for text in texts {
            assert!(errors[0].contains(text), "no {text:?} in {errors:#?}");
        }
        driver.apply(&made);
        driver.assert_no_changes(&made);
        driver.apply(&[]);
        assert_eq!(objects(&name), Vec::<String>::new());
    }
}
