/* In served pages alone: asks every few seconds whether records came, and says so below. */
{
  const SECONDS = 3;
  const { revision, added, waiting } = document.currentScript.dataset;
  const line = document.createElement("aside");
  const told = document.createElement("span");
  const button = document.createElement("button");
  line.setAttribute("aria-label", "Changes since this page was made");
  // The page's policy lets no style in but its own; at the end of the page nothing is moved by it.
  Object.assign(line.style, {
    position: "sticky", bottom: "0", zIndex: "8", padding: ".45rem 1.25rem", textAlign: "center",
    background: "var(--card)", borderTop: "1px solid var(--line)",
  });
  button.type = "button";
  button.textContent = "Reload";
  button.addEventListener("click", () => location.reload());
  line.append(told, " ", button);

  const say = (text, more) => {
    button.hidden = !more;
    told.textContent = text;
    if (line.isConnected) return;
    document.body.append(line);
    // Readers of the page by ear are told once, not every few seconds.
    const ear = document.getElementById("say");
    if (ear) ear.textContent = text;
  };

  // A part did not come. The errors of scripts do not bubble.
  let gone = false;
  document.addEventListener("error", ({ target }) => {
    if (target.tagName !== "SCRIPT") return;
    gone = true;
    look();
  }, true);

  const look = async () => {
    if (document.hidden) return;
    let state;
    try {
      const answer = await fetch("state");
      if (!answer.ok) throw new Error(answer.statusText);
      state = await answer.json();
    } catch {
      say("The server has ended: this page changes no more.", false);
      return;
    }
    if (gone) {
      say("This page is too old: what it lacks is gone. Load it anew.", true);
      return;
    }
    if (state.revision === revision) { line.remove(); return; }
    if (waiting !== undefined) {
      clearInterval(timer);
      location.reload();
      return;
    }
    const n = state.added - added;
    say(n > 0 ? `${n} new record${n === 1 ? "" : "s"}` : "The board has changed", true);
  };
  const timer = setInterval(look, 1000 * SECONDS);
}
