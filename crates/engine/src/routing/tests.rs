//! Who is next, flavour by flavour.

use proptest::prelude::*;

use super::lanes::{Lanes, Table};
use super::shares::{Cell, Share, WHOLE, by_chance, next, of_key};
use super::sync::Arc;
use models::hash::mixed;

/// The flavours of a schedule, all of them.
struct All(Vec<Cell>);

impl All {
    fn of(weights: &[u16]) -> Self {
        let all = Self(std::iter::repeat_with(Cell::default).take(weights.len()).collect());
        all.weigh(weights);
        all
    }

    fn weigh(&self, weights: &[u16]) {
        let owed = self.owed();
        let live = (0_u16..).zip(weights).filter(|(_, weight)| **weight > 0);
        let idle = (0_u16..).zip(weights).filter(|(_, weight)| **weight == 0);
        for (cell, (rank, weight)) in self.0.iter().zip(live.chain(idle)) {
            cell.set(Share::new(rank, rank, *weight, 0), owed[usize::from(rank)]);
        }
    }

    fn live(&self) -> &[Cell] {
        &self.0[..self.0.iter().take_while(|cell| cell.share().weight() > 0).count()]
    }

    /// What each is owed, by rank.
    fn owed(&self) -> Vec<i64> {
        let mut owed = vec![0; self.0.len()];
        self.0.iter().for_each(|cell| owed[cell.share().id()] = cell.owed());
        owed
    }
}

#[test]
fn a_share_is_what_it_was_made_of() {
    let share = Share::new(511, 63, 1_000, 1_000_000);
    assert_eq!((share.id(), share.position()), (511, 63));
    assert_eq!((share.weight(), share.cost()), (1_000, 1_000_000));
    assert!(!share.is_instead());
    let instead = share.instead();
    assert_eq!((instead.id(), instead.position()), (511, 63));
    assert_eq!((instead.weight(), instead.cost(), instead.is_instead()), (1_000, 0, true));
    assert_ne!(Share::new(u16::MAX, u16::MAX, u16::MAX, u32::MAX), Share::NOBODY);
}

/// Weights of `count` flavours that sum to 1000, many of them 0.
fn weights(count: usize) -> impl Strategy<Value = Vec<u16>> {
    let cuts =
        prop::collection::vec(prop_oneof![2 => 0_u16..=1_000, 1 => Just(0), 1 => Just(1_000)], count - 1);
    cuts.prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts.push(1_000);
        let mut before = 0;
        cuts.into_iter().map(|cut| cut - std::mem::replace(&mut before, cut)).collect()
    })
}

fn epochs() -> impl Strategy<Value = (usize, Vec<(Vec<u16>, usize)>)> {
    (1_usize..=8)
        .prop_flat_map(|count| (Just(count), prop::collection::vec((weights(count), 0_usize..40), 1..60)))
}

#[test]
fn the_heaviest_is_first_and_a_cycle_is_exact() {
    let all = All::of(&[140, 0, 860]);
    let picks: Vec<usize> = (0..1_000).map(|_| next(all.live()).unwrap().share().id()).collect();
    assert_eq!(&picks[..8], [2, 2, 2, 0, 2, 2, 2, 2]);
    assert_eq!(picks.iter().filter(|pick| **pick == 0).count(), 140);
    assert_eq!(all.owed(), [0, 0, 0]);
}

proptest! {
    /// Weights change as they like; what is picked follows them.
    #[test]
    fn nobody_is_owed_more_than_half_a_request_for_each_other((count, epochs) in epochs()) {
        let all = All::of(&vec![0; count]);
        let bound = WHOLE * i64::try_from(count - 1).unwrap() / 2;
        for (weights, requests) in epochs {
            all.weigh(&weights);
            for _ in 0..requests {
                let picked = next(all.live()).unwrap().share().id();
                prop_assert!(weights[picked] > 0);
                let owed = all.owed();
                prop_assert!(owed.iter().all(|owed| owed.abs() <= bound), "{owed:?} against {bound}");
                prop_assert_eq!(owed.iter().sum::<i64>(), 0);
            }
        }
    }

    #[test]
    fn chance_costs_no_more_than_a_request_for_each_other(
        (count, epochs) in epochs(),
        seed in any::<u64>(),
    ) {
        let all = All::of(&vec![0; count]);
        let bound = WHOLE * i64::try_from(count - 1).unwrap();
        let mut random = seed;
        for (weights, requests) in epochs {
            all.weigh(&weights);
            for _ in 0..requests {
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                let picked = by_chance(all.live(), random).unwrap().share().id();
                prop_assert!(weights[picked] > 0);
                let owed = all.owed();
                prop_assert!(owed.iter().all(|owed| owed.abs() <= bound), "{owed:?} against {bound}");
            }
        }
    }

    /// Between two weights only as many keys move as must, and none to a less precise flavour where the
    /// more precise ones are given more.
    #[test]
    fn a_key_moves_only_where_its_boundary_passes(
        (before, after) in (2_usize..6).prop_flat_map(|count| (weights(count), weights(count))),
        hash in any::<u64>(),
    ) {
        let rank = |weights: &[u16]| of_key(All::of(weights).live(), hash).unwrap().share().id();
        let (old, new) = (rank(&before), rank(&after));
        prop_assert!(before[old] > 0 && after[new] > 0);
        let until = |weights: &[u16], index: usize| weights[..=index].iter().map(|w| u32::from(*w)).sum::<u32>();
        if (0..before.len()).all(|index| until(&after, index) >= until(&before, index)) {
            prop_assert!(new <= old);
        }
    }
}

/// The share of keys is the weight, within five standard deviations of a fair draw.
#[test]
fn keys_spread_as_the_weights_are() {
    let all = All::of(&[700, 250, 50]);
    let mut counts = [0_u32; 3];
    let keys = 20_000_u32;
    for key in 0..keys {
        let hash = mixed(u64::from(key));
        counts[of_key(all.live(), hash).unwrap().share().id()] += 1;
    }
    for (count, weight) in counts.into_iter().zip([0.7, 0.25, 0.05]) {
        let deviation = (f64::from(keys) * weight * (1.0 - weight)).sqrt();
        assert!((f64::from(count) - f64::from(keys) * weight).abs() < 5.0 * deviation, "{counts:?}");
    }
}

/// Few requests on many threads come to the weights, too.
#[test]
fn lanes_begin_apart() {
    for (lanes, each) in [(8, 3), (32, 3), (5, 20), (2, 7), (32, 1)] {
        let all = Lanes::new(lanes, 0);
        let shares = vec![Share::new(0, 0, 140, 0), Share::new(1, 1, 860, 0)];
        all.publish(Arc::new(Table { number: 1, list: 1, shares }));
        let picks = (0..lanes * each).map(|request| all.pick(request % lanes, next).unwrap().id());
        let small = picks.filter(|id| *id == 0).count() as f64;
        let wanted = 0.14 * (lanes * each) as f64;
        assert!((small - wanted).abs() <= 2.5, "{small} of {wanted} by {lanes} lanes, {each} each");
    }
}
