import { expect, test } from 'vitest';
import { editDistance, nearest, nearestPath } from './nearest.js';

test('edit distance counts a swap of neighbours once', () => {
  expect(editDistance('mdoe', 'mode', 3)).toBe(1);
  expect(editDistance('kitten', 'sitting', 5)).toBe(3);
  expect(editDistance('a', 'abcdef', 2)).toBe(3);
  expect(editDistance('same', 'same', 0)).toBe(0);
});

test('the nearest name is the closest, and none when all are far', () => {
  expect(nearest('thread', ['depth', 'threads', 'size'])).toBe('threads');
  expect(nearest('LAZY', ['strict', 'lazy'])).toBe('lazy');
  expect(nearest('banana', ['depth', 'threads'])).toBeNull();
  expect(nearest('iotlb_hit', ['iommu.walks', 'iommu.iotlb.hit_rate'])).toBe('iommu.iotlb.hit_rate');
  expect(nearest('skx', ['spr-8480', 'skx-8160-2s', 'skx-8160'])).toBe('skx-8160');
  expect(nearest('ab', ['cd'])).toBeNull();
});

test('a path is found by spelling, or by the keys it has in their order', () => {
  const paths = ['os.dma.mode', 'machine.iommus.iommu0.walkers.count', 'machine.iommus.iommu0.iotlb.entries'];
  expect(nearestPath('os.dma.mdoe', paths)).toBe('os.dma.mode');
  expect(nearestPath('walkers.count', paths)).toBe('machine.iommus.iommu0.walkers.count');
  expect(nearestPath('iommu0.iotlb.entires', paths)).toBe('machine.iommus.iommu0.iotlb.entries');
  expect(nearestPath('banana.split', paths)).toBeNull();
});
