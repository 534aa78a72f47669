// Shows openapi.json to people. Everything is put in as text, never as markup.
const make = (tag, ...content) => {
  const element = document.createElement(tag);
  element.append(...content);
  return element;
};
const code = (text) => make("code", text);
const table = (rows) =>
  make("table", ...rows.map((row) => make("tr", ...row.map((cell) => make("td", cell)))));
const schemaOf = (content) => {
  const [type, media] = Object.entries(content ?? {})[0] ?? ["", {}];
  const name = media.schema?.$ref?.split("/").at(-1);
  return name ? `${name} (${type})` : type;
};
const operation = (method, path, it, parameters) => {
  const names = (it.parameters ?? []).map((p) => parameters[p.$ref.split("/").at(-1)]);
  const body = it.requestBody ? [make("h4", "Body"), schemaOf(it.requestBody.content)] : [];
  const given = names.map((p) => [code(p.name), p.in, p.description]);
  const answers = Object.entries(it.responses);
  return make(
    "details",
    make("summary", code(method.toUpperCase()), code(path), ` ${it.summary}`),
    make("p", it.description),
    ...(given.length ? [make("h4", "Parameters"), table(given)] : []),
    ...body,
    make("h4", "Answers"),
    table(answers.map(([status, a]) => [code(status), schemaOf(a.content), a.description])),
  );
};
const show = async () => {
  const api = await (await fetch("/openapi.json")).json();
  const parts = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([m, it]) => operation(m, path, it, api.components.parameters)),
  );
  const schemas = Object.entries(api.components.schemas).map(([name, schema]) =>
    make("details", make("summary", code(name)), make("pre", JSON.stringify(schema, null, 2))),
  );
  document.querySelector("main").replaceChildren(...parts, make("h2", "Schemas"), ...schemas);
};
show().catch((error) => {
  document.querySelector("main").textContent = `openapi.json cannot be shown: ${error}`;
});
