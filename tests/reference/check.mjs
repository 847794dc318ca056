// node check.mjs FILE... - checks each document of each file, which is YAML: against the official JSON schema of the OpenAPI or AsyncAPI version that
// it names, that each $ref leads somewhere and no operation's name appears twice; an object of Kubernetes against the schema of its kind. Prints
// every error and exits non-zero if there is one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import Ajv from 'ajv';
import formats from 'ajv-formats';
import { parseAllDocuments } from 'yaml';
import { Validator } from '@seriousme/openapi-schema-validator';

const require = createRequire(import.meta.url);

const compiled = new Map(); // version of AsyncAPI → its validator, which takes seconds to make

const asyncApiErrors = ({ asyncapi: version, ...rest }) => {
  if (!compiled.has(version)) {
    const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
    formats.default(ajv);
    compiled.set(version, ajv.compile(require(`@asyncapi/specs/schemas/${version}-without-$id.json`)));
  }
  const validate = compiled.get(version);
  return validate({ asyncapi: version, ...rest }) ? [] : validate.errors.map((error) => `${error.instancePath} ${error.message}`);
};

const openApiErrors = async (document) => {
  const { valid, errors } = await new Validator({ strict: false }).validate(structuredClone(document));
  return valid ? [] : [errors].flat().map((error) => (typeof error === 'string' ? error : `${error.instancePath} ${error.message}`));
};

const kubernetesErrors = async (object) => {
  try {
    const { [object.kind]: Kind } = await import(`kubernetes-models/${object.apiVersion}`);
    if (!Kind) return [`no kind ${object.kind} in ${object.apiVersion}`];
    new Kind(object).validate();
    return [];
  } catch (error) {
    return [`${object.kind} ${object.metadata?.name}: ${error.message}`];
  }
};

const target = (document, pointer) =>
  pointer.split('/').slice(1).reduce((at, part) => at?.[part.replace(/~1/g, '/').replace(/~0/g, '~')], document);

const refErrors = (document, at, path = '') => {
  if (at === null || typeof at !== 'object') return [];
  return Object.entries(at).flatMap(([name, value]) =>
    name === '$ref' && (typeof value !== 'string' || value[0] !== '#' || target(document, value) === undefined)
      ? [`${path}: $ref ${value} leads nowhere in this document`]
      : refErrors(document, value, `${path}/${name}`));
};

const nameErrors = (document) => {
  const names = Object.values(document.paths ?? {}).flatMap((item) => Object.values(item).map((operation) => operation.operationId)).filter(Boolean);
  return names.filter((name, i) => names.indexOf(name) !== i).map((name) => `the operationId ${name} appears twice`);
};

const errorsOf = async (document) => {
  if ('kind' in document) return kubernetesErrors(document);
  const errors = 'asyncapi' in document ? asyncApiErrors(document) : await openApiErrors(document);
  return [...errors, ...refErrors(document, document), ...nameErrors(document)];
};

let failed = process.argv.length < 3;
for (const file of process.argv.slice(2)) {
  for (const parsed of parseAllDocuments(readFileSync(file, 'utf8'), { strict: true, uniqueKeys: true })) {
    const errors = [...parsed.errors.map((error) => error.message), ...(await errorsOf(parsed.toJS()))];
    for (const error of errors) console.error(`${file}: ${error}`);
    failed ||= errors.length > 0;
  }
}
process.exit(failed ? 1 : 0);
