// A name and a token for a cookie.
import { post } from "./api.js";

document.getElementById("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const answer = await post("sign-in", { name: form.get("name"), token: form.get("token") });
  if (answer.ok) location.reload();
  else document.getElementById("wrong").textContent = answer.body.detail || "That did not work.";
});
