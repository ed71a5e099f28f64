//! The throttle, case by case.

use ledger::Bounds;
use policies::throttle::{Throttle, ThrottleSettings, throttle};

const SETTINGS: ThrottleSettings = ThrottleSettings { min: 0.2, floor: 150.0, ceiling: 350.0 };

#[test]
fn the_scarcer_of_credit_and_clean_energy_throttles() {
    let bounds = Bounds::new(-0.5, 0.5).unwrap();
    for (balance, now, next, credits_ratio, intensity_ratio, expected) in [
        (0.0775, Some(250.0), Some(300.0), 0.5775, 0.25, 0.25),
        // Of two the dirtier counts, of one that one, of none none.
        (0.5, Some(300.0), Some(250.0), 1.0, 0.25, 0.25),
        (0.5, Some(250.0), None, 1.0, 0.5, 0.5),
        (0.5, None, Some(250.0), 1.0, 0.5, 0.5),
        (0.5, None, None, 1.0, 1.0, 1.0),
        (0.0, Some(100.0), Some(100.0), 0.5, 1.0, 0.5),
        // Never below the smallest.
        (-0.5, Some(100.0), None, 0.0, 1.0, 0.2),
        (0.5, Some(900.0), None, 1.0, 0.0, 0.2),
    ] {
        let got = throttle(&SETTINGS, balance, bounds, now, next);
        assert_eq!(got, Throttle { throttle: expected, credits_ratio, intensity_ratio });
    }
}

#[test]
fn a_floor_at_the_ceiling_and_bounds_without_a_span_do_not_throttle() {
    let point = Bounds::new(0.0, 0.0).unwrap();
    let flat = ThrottleSettings { floor: 350.0, ..SETTINGS };
    let open = Throttle { throttle: 1.0, credits_ratio: 1.0, intensity_ratio: 1.0 };
    assert_eq!(throttle(&flat, 0.0, point, Some(900.0), Some(900.0)), open);
    let upside_down = ThrottleSettings { floor: 400.0, ..SETTINGS };
    assert_eq!(throttle(&upside_down, 0.0, point, Some(900.0), None), open);
    // Bounds whose distance is beyond every number still have a middle.
    let wide = Bounds::new(f64::MIN, f64::MAX).unwrap();
    assert_eq!(throttle(&SETTINGS, 0.0, wide, None, None).credits_ratio, 0.5);
}

#[test]
fn ceilings_round_half_to_even_within_the_component() {
    let half = Throttle { throttle: 0.5, credits_ratio: 0.5, intensity_ratio: 0.5 };
    for (min, max, ceiling) in [
        (0, 0, 0),
        (0, 1, 0),
        (0, 3, 2),
        (0, 5, 2),
        (0, 7, 4),
        (0, 8, 4),
        (6, 9, 6),
        (5, 5, 5),
        (1, 4_294_967_295, 2_147_483_648),
    ] {
        assert_eq!(half.ceiling(min, max), ceiling, "{min}..{max}");
    }
}
