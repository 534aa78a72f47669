// A picture through the edge, as any program would ask for it.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

/** A large model on a slow machine may take longer than the edge lets a caller wait. */
const LIMIT_MS = 30 * 60_000;

async function makePicture(setup, prompt, options) {
  const headers = { authorization: `Bearer ${setup.key.text}` };
  const body = JSON.stringify({ prompt, format: options.format });
  let answer = await json(
    await fetch(`${setup.edgeUrl}/api/media/generate-image`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    }),
  );
  const deadline = Date.now() + LIMIT_MS;
  let { job } = answer;
  while (['queued', 'running'].includes(job.status) && Date.now() < deadline) {
    // The events end with the job.
    await (await fetch(`${setup.edgeUrl}/api/jobs/${job.id}/events`, { headers })).text();
    job = await json(await fetch(`${setup.edgeUrl}/api/jobs/${job.id}`, { headers }));
  }
  if (job.status !== 'succeeded') {
    throw new Error(`the job is ${job.status}: ${JSON.stringify(job.error)}`);
  }
  const { url } = job.images[0];
  const picture = await fetch(url);
  if (!picture.ok) {
    throw new Error(`${url} answers ${picture.status}`);
  }
  return { url, bytes: Buffer.from(await picture.arrayBuffer()) };
}

async function json(response) {
  const body = await response.json();
  if (!response.ok) {
    throw new Error(`the edge answers ${response.status}: ${body.detail ?? JSON.stringify(body)}`);
  }
  return body;
}

/** Under another name first, so that a picture is there whole or not at all. */
function savePicture(file, bytes) {
  const fresh = path.join(path.dirname(file), `.${path.basename(file)}.new`);
  fs.writeFileSync(fresh, bytes);
  fs.renameSync(fresh, file);
}

module.exports = { makePicture, savePicture };
