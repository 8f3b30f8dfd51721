// Makes hello.wasm of hello.wat and the WIT files: npm install && npm run build
import { componentEmbed, componentNew, parse } from '@bytecodealliance/jco-transpile/wasm-tools';
import { readFile, writeFile, readdir } from 'node:fs/promises';

// The tool takes one WIT text, so the packages of wit/deps are nested into it.
async function wit(folder) {
  let text = await readFile(`${folder}/world.wit`, 'utf8');
  for (const name of (await readdir(`${folder}/deps`)).sort()) {
    const dependency = await readFile(`${folder}/deps/${name}/package.wit`, 'utf8');
    text += dependency.replace(/^package ([^;]+);/m, 'package $1 {') + '}\n';
  }
  return text;
}

const module = await parse(await readFile('hello.wat', 'utf8'));
const embedded = await componentEmbed({ binary: module, witSource: await wit('wit') });
const component = await componentNew(embedded, []);
await writeFile('hello.wasm', component);
console.log(`hello.wasm: ${component.length} bytes`);
