// Looks whether the call of this page still waits, and loads the page again once it does not, or
// once this browser may not see it any more. Any other failure passes: the page stays, and the
// next look may succeed. Shows plain text only and decides nothing.
"use strict";
const left = document.getElementById("left");
const look = async () => {
  try {
    const answer = await fetch(`${location.pathname}/status`, {
      cache: "no-store",
      headers: { accept: "application/json" },
      redirect: "error",
    });
    if (answer.status === 401 || answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const now = await answer.json();
    if (now.status !== "pending") return location.reload();
    left.textContent = now.left;
    document.title = now.title;
  } catch {
    left.textContent = "the server does not answer";
  }
  setTimeout(look, 3000);
};
setTimeout(look, 3000);
