//! Typing: the steps of a boot command become presses and releases of keys.
//!
//! Pure, except for [`type_steps`], which hands them to a keyboard. Keysyms
//! are X11's; characters a US keyboard types with Shift get a Shift around
//! them, because the guest sees keys, not characters. The grammar is
//! `plan::qemu::boot_command`.

use std::time::Duration;

use async_trait::async_trait;

use crate::engine::stop::Stop;
use crate::error::Result;
use crate::plan::qemu::boot_command::{Key, Step};

/// The wait after each press and release when the template names none. QEMU
/// hands keys on every 10 ms, and a guest that is emulated needs a moment
/// more; twenty were enough for boot loaders under TCG.
pub(super) const KEY_INTERVAL: Duration = Duration::from_millis(20);

/// How long a text may take to appear when the template names no limit.
const TEXT_LIMIT: Duration = Duration::from_secs(600);

const LEFT_SHIFT: u32 = 0xffe1;
const SHIFTED: &str = "~!@#$%^&*()_+{}|:\"<>?";

/// A press or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyEvent {
    /// X11's number of the key.
    pub(super) keysym: u32,
    /// Whether it goes down.
    pub(super) down: bool,
}

/// What steps are done to.
#[async_trait(?Send)]
pub(super) trait Guest {
    /// Presses or releases a key.
    async fn key(&mut self, event: KeyEvent) -> Result<()>;

    /// Waits until the guest shows a text.
    async fn wait_for_text(&mut self, text: &str, limit: Duration) -> Result<()>;
}

/// Does the steps one after the other.
pub(super) async fn type_steps(
    steps: &[Step],
    interval: Duration,
    guest: &mut dyn Guest,
    stop: &Stop,
) -> Result<()> {
    for step in steps {
        match step {
            Step::Wait(duration) => stop.sleep(*duration).await?,
            Step::WaitText { text, limit } => {
                let limit = limit.unwrap_or(TEXT_LIMIT);
                guest.wait_for_text(text, limit).await?;
            }
            Step::Press(_) | Step::Hold(_) | Step::Release(_) => {
                for event in events(step) {
                    guest.key(event).await?;
                    stop.sleep(interval).await?;
                }
            }
        }
    }
    Ok(())
}

/// The presses and releases of a step.
pub(super) fn events(step: &Step) -> Vec<KeyEvent> {
    let down = |keysym| KeyEvent { keysym, down: true };
    let up = |keysym| KeyEvent {
        keysym,
        down: false,
    };
    match *step {
        Step::Press(key) => {
            let keysym = keysym(key);
            let stroke = [down(keysym), up(keysym)];
            if !needs_shift(key) {
                return stroke.to_vec();
            }
            let [press, release] = stroke;
            vec![down(LEFT_SHIFT), press, release, up(LEFT_SHIFT)]
        }
        Step::Hold(key) => vec![down(keysym(key))],
        Step::Release(key) => vec![up(keysym(key))],
        Step::Wait(_) | Step::WaitText { .. } => Vec::new(),
    }
}

fn keysym(key: Key) -> u32 {
    match key {
        Key::Special(keysym) => keysym,
        Key::Character('\n' | '\r') => 0xff0d,
        Key::Character('\t') => 0xff09,
        Key::Character(character) => u32::from(character),
    }
}

fn needs_shift(key: Key) -> bool {
    let Key::Character(character) = key else {
        return false;
    };
    character.is_ascii_uppercase() || SHIFTED.contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::plan::qemu::boot_command::parse;

    #[derive(Default)]
    struct Recorder(Vec<String>);

    #[async_trait(?Send)]
    impl Guest for Recorder {
        async fn key(&mut self, event: KeyEvent) -> Result<()> {
            let sign = if event.down { '+' } else { '-' };
            self.0.push(format!("{sign}{:x}", event.keysym));
            Ok(())
        }

        async fn wait_for_text(&mut self, text: &str, limit: Duration) -> Result<()> {
            self.0.push(format!("{text} {limit:?}"));
            Ok(())
        }
    }

    async fn typed(text: &str) -> (String, Duration) {
        let mut recorder = Recorder::default();
        let stop = Stop::new(Clock::default());
        let start = tokio::time::Instant::now();
        let steps = parse(text).unwrap();
        let interval = Duration::from_millis(100);
        type_steps(&steps, interval, &mut recorder, &stop)
            .await
            .unwrap();
        (recorder.0.join(" "), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_pressed_in_order_with_pauses() {
        for (text, expected, milliseconds) in [
            ("a", "+61 -61", 200),
            ("A", "+ffe1 +41 -41 -ffe1", 400),
            ("?", "+ffe1 +3f -3f -ffe1", 400),
            ("<enter>", "+ff0d -ff0d", 200),
            ("<leftCtrlOn>c<leftCtrlOff>", "+ffe3 +63 -63 -ffe3", 400),
            ("<waitText \"boot:\" 5s>x", "boot: 5s +78 -78", 200),
            ("<waitText \"boot:\">", "boot: 600s", 0),
            ("<wait5>1", "+31 -31", 5200),
            ("\n", "+ff0d -ff0d", 200),
        ] {
            let (events, elapsed) = typed(text).await;
            assert_eq!(events, expected, "{text}");
            // Tokio's paused timer counts whole milliseconds.
            let late = elapsed.saturating_sub(Duration::from_millis(milliseconds));
            assert!(late < Duration::from_millis(10), "{text}: {elapsed:?}");
            assert!(elapsed >= Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn all_of_packers_shifted_characters_are_shifted() {
        for character in "~!@#$%^&*()_+{}|:\"<>?ABCXYZ".chars() {
            assert!(needs_shift(Key::Character(character)), "{character}");
        }
        for character in "`1234567890-=[]\\;',./abcxyz ".chars() {
            assert!(!needs_shift(Key::Character(character)), "{character}");
        }
    }
}
