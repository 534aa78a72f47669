// CloudFront's base64 and policies.
const SWAPPED = { "+": "-", "=": "_", "/": "~", "-": "+", _: "=", "~": "/" };

export const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/[+=/]/g, (c) => SWAPPED[c]);

export const decode = (text) =>
  Uint8Array.from(atob(text.replace(/[-_~]/g, (c) => SWAPPED[c])), (c) => c.charCodeAt(0));

export const policyText = (resource, expires) =>
  `{"Statement":[{"Resource":${JSON.stringify(resource)},"Condition":{"DateLessThan":{"AWS:EpochTime":${expires}}}}]}`;
