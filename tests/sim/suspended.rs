//! What the drawn runs come to only now and then: a keeper is suspended with an attempt that has just begun, and goes on when
//! another daemon has done its work.

use std::time::Duration;

use crate::support::postgres::cluster;

use super::action::{Action, Delivery};
use super::changes::Change;
use super::daemon::{Actor, Role};
use super::faults::StepFaults;
use super::runs::in_world;
use super::scenario::{Scenario, Setup};
use super::world::World;

fn is_attempt(actor: &Actor) -> bool {
    actor.role == Role::Attempt
}

/// The host works until it has claimed a file.
async fn until_claimed(world: &mut World) {
    while !world.daemon().actors.iter().any(is_attempt) {
        world.advance(Duration::from_secs(1)).await;
        world.deliver(&[Delivery::Arrives]);
        world.begin_intake();
        world.begin_publish();
        while let Some(which) = world.daemon().actors.iter().position(|actor| !is_attempt(actor)) {
            world.step_one(which, StepFaults::NONE).await;
        }
    }
}

#[test]
fn a_keeper_that_was_suspended_for_longer_than_its_lease_sends_nothing_when_it_goes_on() {
    let test =
        "simulation::a_keeper_that_was_suspended_for_longer_than_its_lease_sends_nothing_when_it_goes_on";
    if cluster(test).is_none() {
        return;
    }
    // the third host stands by for the first
    let setup = Setup { slots_by: "arrival".into(), after: "keep".into(), ..Scenario::of_hosts(2).setup };
    let outcome = in_world(&setup, async |world| {
        let put = Change::Put { path: "OWNBRAND/1/1.jpg".into(), content: 0 };
        world.take(&Action::Change(put)).await;
        until_claimed(world).await;
        world.take(&Action::Suspend).await;
        world.take(&Action::Advance(60_000)).await;
        world.take(&Action::Switch(2)).await;
        assert!(world.host().is_at_work(), "the standby has taken over");
        for _ in 0..10 {
            world.work().await;
            world.advance(Duration::from_secs(10)).await;
        }
        assert_eq!(world.outcome.puts, 1);
        world.take(&Action::Switch(0)).await;
        world.take(&Action::Suspend).await;
        // before it finds out by itself that it is deposed
        world.work().await;
    });
    assert_eq!((outcome.puts, outcome.violations), (1, Vec::new()));
}
