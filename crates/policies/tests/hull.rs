//! The hull, case by case.

use policies::Hull;

fn points(hull: &Hull) -> Vec<usize> {
    hull.vertices().iter().map(|vertex| vertex.point).collect()
}

#[test]
fn points_above_a_mixture_of_two_others_are_left_out() {
    for (list, expected) in [
        (&[(0.0, 1.0), (0.5, 0.6), (0.7, 0.3)][..], &[0, 2][..]),
        (&[(0.7, 0.3), (0.1, 0.4), (0.0, 1.0)], &[2, 1, 0]),
        // Points on one line all belong to it, also where rounding lifts one above.
        (&[(0.0, 1.0), (0.15, 0.7), (0.3, 0.4)], &[0, 1, 2]),
        (&[(0.0, 1.0), (0.15, 0.7 + 5e-13), (0.3, 0.4)], &[0, 1, 2]),
        (&[(0.0, 1.0), (0.15, 0.7 + 5e-12), (0.3, 0.4)], &[0, 2]),
        // Of equal errors the cheapest, of equal points the first.
        (&[(0.1, 0.9), (0.1, 0.5), (0.1, 0.5), (0.2, 0.4)], &[1, 3]),
        // The hull goes on where energy rises again.
        (&[(0.0, 1.0), (0.1, 0.5), (0.2, 0.8)], &[0, 1, 2]),
        (&[(0.0, 0.0), (0.5, 0.0), (1.0, 0.0)], &[0, 1, 2]),
        (&[(0.5, f64::NAN), (f64::INFINITY, 1.0), (0.5, 1.0)], &[2]),
        (&[(0.0, f64::MAX), (0.5, f64::MAX), (1.0, 0.0)], &[0, 2]),
    ] {
        assert_eq!(points(&Hull::new(list.iter().copied()).unwrap()), expected, "{list:?}");
    }
    assert_eq!(Hull::new([]), None);
    assert_eq!(Hull::new([(f64::NAN, 0.0)]), None);
}

#[test]
fn a_mixture_is_of_the_two_points_around_its_error() {
    let hull = Hull::new([(0.1, 1.0), (0.2, 0.5), (0.6, 0.3)]).unwrap();
    for (error, planned, parts, energy) in [
        (0.1, 0.1, [(0, 1.0), (1, 0.0)], Some(1.0)),
        (0.2, 0.2, [(1, 1.0), (2, 0.0)], Some(0.5)),
        (0.4, 0.4, [(1, 0.5), (2, 0.5)], Some(0.4)),
        (0.6, 0.6, [(2, 1.0), (2, 0.0)], Some(0.3)),
        // Outside of the hull its nearest end is meant.
        (0.0, 0.1, [(0, 1.0), (0, 0.0)], None),
        (0.9, 0.6, [(2, 1.0), (2, 0.0)], None),
        (f64::NAN, 0.1, [(0, 1.0), (0, 0.0)], None),
    ] {
        let mix = hull.mix(error);
        assert!((mix.error - planned).abs() < 1e-12, "{error}: {}", mix.error);
        for ((point, share), (expected, of)) in mix.parts.iter().zip(parts) {
            assert!(*point == expected && (share - of).abs() < 1e-12, "{error}: {:?}", mix.parts);
        }
        let close = match (hull.energy(error), energy) {
            (Some(got), Some(want)) => (got - want).abs() < 1e-12,
            (got, want) => got == want,
        };
        assert!(close, "{error}: {:?}", hull.energy(error));
    }
}
