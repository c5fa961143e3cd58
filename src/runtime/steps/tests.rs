use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Difference, Kind, Step, differences, steps};
use crate::{
    convex::DeploymentName,
    runtime::{
        Attachment, Confinement, ContainerSpec, Desired, Entrypoint, Existing, Limits, NetworkSpec,
        Observed, ObservedContainer, Own, Program, Publish, Renew, Role, State, labels,
    },
};

fn program(image: &str) -> Program {
    Program {
        image: image.to_owned(),
        env: [("ORIGIN".to_owned(), "http://a".to_owned())].into(),
        user_env: Vec::new(),
        hidden_env: Vec::new(),
        hidden_version: None,
        limits: Limits::default(),
    }
}

fn desired() -> Desired {
    Desired {
        name: DeploymentName::parse("demo").unwrap(),
        running: true,
        renew: Renew::Nothing,
        backend: program("backend:1"),
        dashboard: Some(program("dashboard:1")),
        entrypoint: None,
        has_files: false,
        attachment: Attachment::Own {
            further: Vec::new(),
            publish: Publish::default(),
        },
        hosts: BTreeMap::new(),
        confinement: Confinement::default(),
        labels: BTreeMap::new(),
        owner: None,
    }
}

/// What there is once `spec` is carried out.
fn running(spec: &ContainerSpec) -> ObservedContainer {
    ObservedContainer {
        id: format!("id-{}", spec.role),
        image: spec.program.image.clone(),
        image_id: "sha256:0".to_owned(),
        state: State::Running,
        env: spec.program.env.clone(),
        labels: spec.labels.clone(),
        volumes: spec
            .volume
            .iter()
            .map(|volume| ("/convex/data".to_owned(), volume.clone()))
            .collect(),
        network_mode: spec.network.mode(),
        networks: match &spec.network {
            NetworkSpec::In { own, further, .. } => {
                [own.clone()].into_iter().chain(further.clone()).collect()
            }
            NetworkSpec::Of { .. } | NetworkSpec::None => BTreeSet::new(),
        },
        ports: match &spec.network {
            NetworkSpec::In { ports, .. } => ports.clone(),
            NetworkSpec::Of { .. } | NetworkSpec::None => BTreeMap::new(),
        },
        hosts: spec.hosts.clone(),
        started: "2026".to_owned(),
        limits: spec.program.limits,
        dropped: spec.confinement.dropped.clone(),
        may_gain_rights: spec.confinement.may_gain_rights,
        restarts: true,
        restart_count: 0,
        image_env: None,
    }
}

fn all_there(desired: &Desired) -> Observed {
    let labelled = |role| Existing {
        created: None,
        labels: desired.object_labels(role),
    };
    let network = Own::check(Kind::Network, "demo", "0f".to_owned(), Some("demo"), "demo");
    Observed {
        network: Some(network.unwrap()),
        volume: Some(labelled("data")),
        backend: Some(running(&desired.backend_container())),
        dashboard: desired.dashboard_container().as_ref().map(running),
        probe: None,
        strangers: Vec::new(),
    }
}

#[test]
fn from_nothing_everything_is_made_in_order() {
    use Role::{Backend, Dashboard};
    assert_eq!(
        steps(&desired(), &Observed::default()).unwrap(),
        [
            Step::FetchImage(Backend),
            Step::FetchImage(Dashboard),
            Step::CreateVolume,
            Step::CreateNetwork,
            Step::CreateContainer(Backend),
            Step::StoreSecrets,
            Step::Start(Backend),
            Step::AwaitReady(Backend),
            Step::KeepRunning(Backend),
            Step::CreateContainer(Dashboard),
            Step::Start(Dashboard),
            Step::AwaitReady(Dashboard),
            Step::KeepRunning(Dashboard),
        ]
    );
}

#[test]
fn when_all_is_as_it_should_be_nothing_is_done() {
    let desired = desired();
    assert_eq!(steps(&desired, &all_there(&desired)).unwrap(), []);
}

#[test]
fn a_changed_origin_makes_the_containers_anew_and_nothing_else() {
    let mut changed = desired();
    let before = all_there(&changed);
    for program in [Some(&mut changed.backend), changed.dashboard.as_mut()] {
        program
            .unwrap()
            .env
            .insert("ORIGIN".to_owned(), "http://b".to_owned());
    }
    let todo = steps(&changed, &before).unwrap();
    assert_eq!(
        todo[..4],
        [
            Step::FetchImage(Role::Backend),
            Step::FetchImage(Role::Dashboard),
            Step::RemoveContainer(Role::Dashboard),
            Step::RemoveContainer(Role::Backend)
        ]
    );
    assert!(!todo.contains(&Step::CreateVolume));
    assert!(!todo.contains(&Step::RemoveNetwork));
    assert!(todo.contains(&Step::AwaitReady(Role::Backend)));
}

/// A mistyped image, or a registry that is away, takes nothing down.
#[test]
fn every_image_is_there_before_anything_is_ended() {
    let mut desired = desired();
    let mut observed = all_there(&desired);
    observed.network = None;
    observed.probe.clone_from(&observed.volume);
    desired.backend.image = "backend:2".to_owned();
    desired.dashboard.as_mut().unwrap().image = "dashboard:2".to_owned();
    let todo = steps(&desired, &observed).unwrap();
    let first = todo.iter().take_while(|step| step.disturbs_nothing());
    assert_eq!(
        first.collect::<Vec<_>>(),
        [
            &Step::FetchImage(Role::Backend),
            &Step::FetchImage(Role::Dashboard),
            &Step::CreateNetwork,
        ]
    );
    let late = todo.iter().skip(3).find(|step| step.disturbs_nothing());
    assert_eq!(late, None);
    // The image of what stays is not looked up.
    desired.backend.image = "backend:1".to_owned();
    let todo = steps(&desired, &observed).unwrap();
    assert!(!todo.contains(&Step::FetchImage(Role::Backend)));
    desired.running = false;
    let todo = steps(&desired, &observed).unwrap();
    assert!(!todo.iter().any(|step| matches!(step, Step::FetchImage(_))));
}

#[test]
fn each_difference_of_a_container_makes_it_anew() {
    type Edit = fn(&mut ObservedContainer);
    let edits: [Edit; 7] = [
        |it| it.image = "other".to_owned(),
        |it| it.env = [("ORIGIN".to_owned(), "x".to_owned())].into(),
        |it| it.env.clear(),
        |it| it.ports = [(3210, 1)].into(),
        |it| it.volumes.clear(),
        |it| it.networks.clear(),
        |it| {
            it.labels
                .extend([(labels::ENV.to_owned(), "GONE".to_owned())]);
        },
    ];
    let desired = desired();
    for (number, edit) in edits.into_iter().enumerate() {
        let mut observed = all_there(&desired);
        edit(observed.backend.as_mut().unwrap());
        let todo = steps(&desired, &observed).unwrap();
        let anew = [
            Step::FetchImage(Role::Backend),
            Step::RemoveContainer(Role::Backend),
        ];
        assert_eq!(todo[..2], anew, "edit {number}");
    }
}

#[test]
fn a_variable_too_many_is_told_from_the_images_own() {
    let desired = desired();
    let mut observed = all_there(&desired);
    let backend = observed.backend.as_mut().unwrap();
    backend.env.insert("PATH".to_owned(), "/bin".to_owned());
    backend.image_env = Some([("PATH".to_owned(), "/bin".to_owned())].into());
    assert_eq!(steps(&desired, &observed).unwrap(), []);
    let backend = observed.backend.as_mut().unwrap();
    backend.env.insert("EXTRA".to_owned(), "1".to_owned());
    assert!(!steps(&desired, &observed).unwrap().is_empty());
}

#[test]
fn a_limit_is_changed_in_place_and_taken_away_with_a_new_container() {
    let mut desired = desired();
    desired.backend.limits.memory = Some(1 << 29);
    let observed = all_there(&desired);
    desired.backend.limits = Limits {
        memory: Some(1 << 30),
        nano_cpus: Some(500_000_000),
        processes: Some(512),
    };
    assert_eq!(
        steps(&desired, &observed).unwrap(),
        [Step::Limit(Role::Backend)]
    );
    desired.backend.limits.memory = None;
    let todo = steps(&desired, &observed).unwrap();
    assert!(todo.contains(&Step::RemoveContainer(Role::Backend)));
    // One of the engine's own is no difference.
    let mut observed = observed;
    let backend = observed.backend.as_mut().unwrap();
    backend.limits.memory = None;
    backend.limits.processes = Some(2048);
    desired.backend.limits = Limits::default();
    assert_eq!(steps(&desired, &observed).unwrap(), []);
}

#[test]
fn a_missing_dashboard_is_made_again_beside_a_backend_that_runs_on() {
    let desired = desired();
    let mut observed = all_there(&desired);
    observed.dashboard = None;
    let todo = steps(&desired, &observed).unwrap();
    let made = [
        Step::FetchImage(Role::Dashboard),
        Step::CreateContainer(Role::Dashboard),
    ];
    assert_eq!(todo[..2], made);
    assert!(!todo.contains(&Step::Start(Role::Backend)));
}

#[test]
fn a_container_that_does_not_run_is_made_anew() {
    let desired = desired();
    let ended = State::Exited {
        code: 0,
        out_of_memory: false,
    };
    let looping = State::Restarting {
        code: 1,
        out_of_memory: false,
    };
    for state in [ended, looping, State::Dying, State::Paused] {
        let mut observed = all_there(&desired);
        observed.backend.as_mut().unwrap().state = state;
        let todo = steps(&desired, &observed).unwrap();
        let goes = Step::RemoveContainer(Role::Backend);
        assert!(todo.contains(&goes), "{state:?}");
    }
}

#[test]
fn a_create_that_died_before_the_end_is_finished() {
    let desired = desired();
    let mut observed = all_there(&desired);
    observed.backend.as_mut().unwrap().restarts = false;
    observed.dashboard.as_mut().unwrap().state = State::Created;
    observed.probe.clone_from(&observed.volume);
    assert_eq!(
        steps(&desired, &observed).unwrap(),
        [
            Step::RemoveContainer(Role::Probe),
            Step::AwaitReady(Role::Backend),
            Step::KeepRunning(Role::Backend),
            Step::Start(Role::Dashboard),
            Step::AwaitReady(Role::Dashboard),
            Step::KeepRunning(Role::Dashboard),
        ]
    );
}

#[test]
fn stopping_keeps_the_volume_and_a_second_stop_does_nothing() {
    let mut desired = desired();
    let observed = all_there(&desired);
    desired.running = false;
    assert_eq!(
        steps(&desired, &observed).unwrap(),
        [
            Step::RemoveContainer(Role::Dashboard),
            Step::RemoveContainer(Role::Backend),
            Step::RemoveNetwork,
        ]
    );
    let stopped = Observed {
        volume: observed.volume,
        ..Observed::default()
    };
    assert_eq!(steps(&desired, &stopped).unwrap(), []);
    assert_eq!(
        steps(&desired, &Observed::default()).unwrap(),
        [Step::CreateVolume]
    );
}

#[test]
fn a_disabled_dashboard_goes() {
    let mut desired = desired();
    let observed = all_there(&desired);
    desired.dashboard = None;
    assert_eq!(
        steps(&desired, &observed).unwrap(),
        [Step::RemoveContainer(Role::Dashboard)]
    );
}

#[test]
fn a_new_secret_makes_a_running_backend_start_anew() {
    let mut desired = desired();
    let observed = all_there(&desired);
    desired.renew = Renew::Backend;
    let todo = steps(&desired, &observed).unwrap();
    assert!(todo.contains(&Step::RemoveContainer(Role::Backend)));
    assert!(todo.contains(&Step::StoreSecrets));
}

#[test]
fn an_entrypoint_of_our_own_needs_its_files_before_each_start() {
    let mut desired = desired();
    let plain = all_there(&desired);
    desired.has_files = true;
    desired.entrypoint = Some(Entrypoint {
        command: "/start".to_owned(),
        version: "1".to_owned(),
    });
    let todo = steps(&desired, &plain).unwrap();
    assert!(todo.contains(&Step::RemoveContainer(Role::Backend)));
    let at = |step: &Step| todo.iter().position(|it| it == step).unwrap();
    assert!(at(&Step::PutFiles) < at(&Step::Start(Role::Backend)));
    assert_eq!(steps(&desired, &all_there(&desired)).unwrap(), []);

    // Another key or script at the same path.
    let before = all_there(&desired);
    desired.entrypoint.as_mut().unwrap().version = "2".to_owned();
    assert!(!steps(&desired, &before).unwrap().is_empty());
    // And without it, the image's own again.
    desired.entrypoint = None;
    assert!(!steps(&desired, &before).unwrap().is_empty());
}

fn stranger(kind: Kind, name: &str) -> Conflict {
    Conflict {
        kind,
        name: name.to_owned(),
        owner: None,
    }
}

#[test]
fn a_stranger_is_in_the_way_of_what_needs_its_name_now() {
    let mut desired = desired();
    for (kind, name, own, shared, stopped) in [
        (Kind::Volume, "demo-data", true, true, true),
        (Kind::Container, "demo-backend", true, true, false),
        (Kind::Container, "demo-dashboard", true, true, false),
        (Kind::Container, "demo-probe", true, true, false),
        (Kind::Network, "demo", true, false, false),
    ] {
        let found = stranger(kind, name);
        let mut observed = all_there(&desired);
        observed.strangers.push(found.clone());
        let mut is_refused = |running, attachment: &Attachment| {
            desired.running = running;
            desired.attachment = attachment.clone();
            steps(&desired, &observed) == Err(found.clone())
        };
        let (of_its_own, of_another) = (
            Attachment::Own {
                further: Vec::new(),
                publish: Publish::default(),
            },
            Attachment::Shared {
                container: "abc".to_owned(),
                started: String::new(),
            },
        );
        assert_eq!(is_refused(true, &of_another), shared, "{name}");
        assert_eq!(is_refused(false, &of_its_own), stopped, "{name}");
        assert_eq!(is_refused(true, &of_its_own), own, "{name}");
    }
}

#[test]
fn a_deployment_without_a_dashboard_leaves_its_name_to_strangers() {
    let desired = Desired {
        dashboard: None,
        ..desired()
    };
    let refusal = |name: &str| {
        let mut observed = all_there(&desired);
        observed.strangers.push(stranger(Kind::Container, name));
        steps(&desired, &observed).err().map(|it| it.name)
    };
    assert_eq!(refusal("demo-dashboard"), None);
    for needed in ["demo-backend", "demo-probe"] {
        assert_eq!(refusal(needed).as_deref(), Some(needed));
    }
}

#[test]
fn sharing_a_network_needs_none_of_its_own() {
    let mut desired = desired();
    let before = all_there(&desired);
    desired.attachment = Attachment::Shared {
        container: "abc".to_owned(),
        started: String::new(),
    };
    let todo = steps(&desired, &before).unwrap();
    assert_eq!(
        todo[2..5],
        [
            Step::RemoveContainer(Role::Dashboard),
            Step::RemoveContainer(Role::Backend),
            Step::RemoveNetwork,
        ]
    );
    let mut shared = all_there(&desired);
    shared.network = None;
    assert_eq!(steps(&desired, &shared).unwrap(), []);

    // Another container to share it with, or the same one started again, by whatever clock.
    let mut of = |started: &str| {
        desired.attachment = Attachment::Shared {
            container: "abc".to_owned(),
            started: started.to_owned(),
        };
        desired.clone()
    };
    let mut joined = all_there(&of("2026-11-28T10:00:00"));
    joined.network = None;
    for (started, is_another) in [
        ("2026-11-28T10:00:00", false),
        ("2026-11-28T10:00:00.1", true),
        ("2025-01-01T00:00:00", true),
    ] {
        let again = steps(&of(started), &joined).unwrap();
        let goes = Step::RemoveContainer(Role::Backend);
        assert_eq!(again.contains(&goes), is_another, "{started}");
        let mut joined = all_there(&of(started));
        joined.network = None;
        // The clock was set back before the containers were made.
        for container in [&mut joined.backend, &mut joined.dashboard] {
            container.as_mut().unwrap().started = "2024".to_owned();
        }
        assert_eq!(steps(&of(started), &joined).unwrap(), [], "{started}");
    }
    desired.renew = Renew::All;
    let todo = steps(&desired, &shared).unwrap();
    assert_eq!(todo[2], Step::RemoveContainer(Role::Dashboard));
    assert_eq!(todo[3], Step::RemoveContainer(Role::Backend));
    desired.renew = Renew::Nothing;
    desired.attachment = Attachment::Shared {
        container: "def".to_owned(),
        started: String::new(),
    };
    assert!(!steps(&desired, &shared).unwrap().is_empty());
}

#[test]
fn a_further_network_that_is_missing_makes_the_containers_anew() {
    let mut desired = desired();
    let before = all_there(&desired);
    desired.attachment = Attachment::Own {
        further: vec!["others".to_owned()],
        publish: Publish::default(),
    };
    assert!(!steps(&desired, &before).unwrap().is_empty());
    let mut joined = all_there(&desired);
    assert_eq!(steps(&desired, &joined).unwrap(), []);
    joined.backend.as_mut().unwrap().networks.remove("others");
    assert!(!steps(&desired, &joined).unwrap().is_empty());
}

#[test]
fn containers_made_with_networks_in_another_order_stay() {
    let mut desired = desired();
    let further = |names: [&str; 2]| Attachment::Own {
        further: names.map(str::to_owned).into(),
        publish: Publish::default(),
    };
    desired.attachment = further(["b", "a"]);
    let there = all_there(&desired);
    desired.attachment = further(["a", "b"]);
    assert_eq!(steps(&desired, &there).unwrap(), []);
    desired.attachment = further(["a", "c"]);
    assert!(!steps(&desired, &there).unwrap().is_empty());
}

#[test]
fn what_is_not_at_hand_counts_neither_as_missing_nor_as_too_many() {
    let mut desired = desired();
    desired.backend.hidden_env = vec!["POSTGRES_URL".to_owned()];
    desired.backend.hidden_version = Some("1".to_owned());
    let mut observed = all_there(&desired);
    let backend = observed.backend.as_mut().unwrap();
    backend
        .env
        .insert("POSTGRES_URL".to_owned(), "secret".to_owned());
    backend.image_env = Some(BTreeMap::new());
    assert_eq!(steps(&desired, &observed).unwrap(), []);
    desired.backend.hidden_version = Some("2".to_owned());
    assert!(!steps(&desired, &observed).unwrap().is_empty());
}

#[test]
fn other_extra_hosts_concern_the_backend_alone() {
    let with = |address: &str| Desired {
        hosts: [("host.docker.internal".to_owned(), address.to_owned())].into(),
        ..desired()
    };
    let observed = all_there(&with("host-gateway"));
    assert!(steps(&with("host-gateway"), &observed).unwrap().is_empty());
    for other in [with("10.0.0.5"), desired()] {
        let backend = observed.backend.as_ref().unwrap();
        let differs = differences(&other.backend_container(), backend);
        assert_eq!(differs, [Difference::Hosts]);
        let steps = steps(&other, &observed).unwrap();
        assert!(steps.contains(&Step::RemoveContainer(Role::Backend)));
        assert!(!steps.contains(&Step::RemoveContainer(Role::Dashboard)));
    }
}
