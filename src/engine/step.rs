//! What is made in each step of a build, for its timeline.
//!
//! Steps run at the same time and inside of each other, and what makes
//! something does not know them: a task-local variable is what follows a
//! future wherever it is polled.

use std::cell::RefCell;

tokio::task_local! {
    static MADE: RefCell<Vec<String>>;
}

/// Runs the work of a step; gives the ids of what it made, in order, too.
pub async fn follow<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let work = async {
        let outcome = work.await;
        let mut ids = MADE.with(RefCell::take);
        ids.sort_unstable();
        (outcome, ids)
    };
    MADE.scope(RefCell::default(), work).await
}

/// Notes something for the innermost step, if there is one.
pub fn made(id: &str) {
    // Outside of all steps nobody wants to know.
    let _ = MADE.try_with(|ids| ids.borrow_mut().push(id.to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_step_knows_its_own() {
        made("nothing");
        let inner = |id: &'static str| async move {
            tokio::task::yield_now().await;
            made(id);
            tokio::task::yield_now().await;
        };
        let outer = follow(async {
            let both = tokio::join!(follow(inner("b")), follow(inner("a")));
            made("d");
            made("c");
            (both.0.1, both.1.1)
        });
        let ((b, a), own) = outer.await;
        assert_eq!((b.join(" "), a.join(" ")), ("b".into(), "a".into()));
        assert_eq!(own, ["c", "d"]);
    }
}
