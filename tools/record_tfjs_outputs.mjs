// Runs one TF.js graph model on one image: node record_tfjs_outputs.mjs JOB.json
// JOB: {model, weights, input, shape, dtype, outputs: [{node, file}]}; images and outputs are raw little-endian numbers in files.
// Called by record_tfjs_outputs.py, which needs it in a folder where `npm install @tensorflow/tfjs` was run.
import fs from 'node:fs';
import * as tf from '@tensorflow/tfjs';

const job = JSON.parse(fs.readFileSync(process.argv[2]));
const document = JSON.parse(fs.readFileSync(job.model));
const raw = fs.readFileSync(job.weights);
const model = await tf.loadGraphModel({
  load: async () => ({
    modelTopology: document.modelTopology,
    signature: document.signature,
    weightSpecs: document.weightsManifest.flatMap((group) => group.weights),
    weightData: raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength),
  }),
});
await tf.setBackend('cpu');
const bytes = fs.readFileSync(job.input);
const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const input = tf.tensor(values, job.shape, job.dtype);
const results = await model.executeAsync(input, job.outputs.map((output) => output.node));
[results].flat().forEach((tensor, i) => fs.writeFileSync(job.outputs[i].file, Buffer.from(tensor.dataSync().buffer)));
console.log(JSON.stringify({ backend: tf.getBackend(), tfjs: tf.version.tfjs, shapes: [results].flat().map((t) => t.shape) }));
