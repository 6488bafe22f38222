// The server's HTTP API. A write has a header of ours, which no foreign page can send.

export async function get(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, v]) => v !== "" && v != null && v !== false));
  const answer = await fetch(`/api/${path}?${query}`);
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `the server says ${answer.status}`);
  return answer.json();
}

// {ok, status, body}; status 0 where the server cannot be reached
export async function post(path, body) {
  try {
    const answer = await fetch(`/api/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-corpus-review": "1" },
      body: JSON.stringify(body),
    });
    const found = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
    return { ok: answer.ok, status: answer.status, body: found };
  } catch {
    return { ok: false, status: 0, body: { detail: "The server cannot be reached." } };
  }
}

// An id for a decision: sent again after a lost answer, it is still one decision.
export function drawn() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
