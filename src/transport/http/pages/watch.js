// Looks whether the call of this page still waits, and loads the page again once it does not.
// Shows plain text only and decides nothing.
"use strict";
const left = document.getElementById("left");
const look = async () => {
  try {
    const answer = await fetch(`${location.pathname}/status`, {
      cache: "no-store",
      headers: { accept: "application/json" },
      redirect: "error",
    });
    const now = answer.ok ? await answer.json() : {};
    if (now.status !== "pending") return location.reload();
    left.textContent = now.left;
    document.title = now.title;
  } catch {
    left.textContent = "the server does not answer";
  }
  setTimeout(look, 3000);
};
setTimeout(look, 3000);
