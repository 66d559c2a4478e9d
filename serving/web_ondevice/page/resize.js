// The resize recipe of the export's manifest ("image.resize"), in the same single precision and the
// same order of additions as the training pipeline, so that equal pixels give equal pixels:
// the aspect ratio is not kept; a triangle filter, widened where the picture shrinks (antialiased),
// with half-pixel centres; rounded half to even and clipped to a byte.

const float = Math.fround; // the pipeline computes in 32-bit floats

// For every output position: the first source position and the weights from there on.
function spans(outputs, inputs) {
  const step = float(1 / float(outputs / inputs));
  const radius = Math.max(step, 1);
  const inverse = float(1 / radius);
  return Array.from({ length: outputs }, (_, place) => {
    const centre = float(float(place + 0.5) * step);
    const start = Math.max(0, Math.ceil(float(float(centre - radius) - 0.5)));
    const end = Math.min(inputs - 1, Math.floor(float(float(centre + radius) - 0.5)));
    const weights = new Float32Array(end - start + 1);
    let total = 0;
    for (let source = start; source <= end; source++) {
      const away = float(Math.abs(float(float(float(source + 0.5) - centre) * inverse)));
      weights[source - start] = Math.max(0, float(1 - away));
      total = float(total + weights[source - start]);
    }
    const scale = float(1 / total);
    return { start, weights: weights.map((weight) => float(weight * scale)) };
  });
}

function roundHalfToEven(value) {
  const below = Math.floor(value), part = value - below;
  if (part !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

/**
 * A picture of any size as the pixels the encoder takes.
 *
 * @param {{data: Uint8Array, width: number, height: number}} picture red, green, blue, row by row
 * @param {number} size height and width of the result
 * @returns {Uint8Array} size * size * 3
 */
export function resize({ data, width, height }, size) {
  const length = 3 * width;
  const rows = new Float32Array(size * length);
  spans(size, height).forEach(({ start, weights }, y) => {
    const row = rows.subarray(y * length, (y + 1) * length);
    weights.forEach((weight, place) => {
      const source = (start + place) * length;
      for (let at = 0; at < length; at++) row[at] += float(weight * data[source + at]);
    });
  });
  const pixels = new Uint8Array(size * size * 3);
  spans(size, width).forEach(({ start, weights }, x) => {
    for (let y = 0; y < size; y++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0, source = y * length + 3 * start + channel;
        for (let place = 0; place < weights.length; place++, source += 3) {
          sum = float(sum + float(weights[place] * rows[source]));
        }
        pixels[3 * (y * size + x) + channel] = Math.min(255, Math.max(0, roundHalfToEven(sum)));
      }
    }
  });
  return pixels;
}
